"""Every exception that evenflow raises on purpose.

::

    EvenflowError
    ├── InputError          what the user gave can't be used; carries the findings (exit status 1)
    ├── SystemRefusedError  the kernel or a program said no (exit status 3)
    │   ├── NotPermittedError     CAP_NET_ADMIN (or a user namespace) is missing
    │   ├── NotSupportedError     this kernel lacks something that is needed
    │   └── VerifyError           the kernel took the change, but reads back otherwise
    ├── NotInstalledError   an optional package is missing; the message names the extra that has it (exit status 3)
    └── LabError            the lab could not be built or a step could not be played

Mistakes in a configuration are data, not exceptions: they are `evenflow.model.finding.Finding` values. An
`InputError` is raised only where work can't go on because of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class EvenflowError(Exception):
    """The root: nothing else is raised on purpose."""


class InputError(EvenflowError):
    """What the user gave can't be used.

    Attributes:
        findings: what is wrong, as `evenflow.model.finding.Finding` values.
    """

    def __init__(self, findings: Sequence[object]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(str(finding) for finding in self.findings))


class SystemRefusedError(EvenflowError):
    """The kernel or a program refused. The message says what was asked and what to do."""


class NotPermittedError(SystemRefusedError):
    """A capability is missing."""


class NotSupportedError(SystemRefusedError):
    """This kernel lacks something that is needed."""


class VerifyError(SystemRefusedError):
    """A change was accepted, but what is read back differs from what was asked."""


class NotInstalledError(EvenflowError):
    """An optional package is missing. The message names the extra that installs it."""


class LabError(EvenflowError):
    """The lab could not be built, or a step of a scenario could not be played."""
