"""What `plan` says of the examples, word for word; and the kernel takes exactly that.

After a change that is meant, write the files anew: EVENFLOW_WRITE_GOLDEN=1 pytest tests/golden
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evenflow.formats.plan import render_lines
from evenflow.kernel.files import read_configuration
from evenflow.kernel.linux import LinuxKernel
from evenflow.kernel.namespaces import NetworkNamespace
from evenflow.kernel.reconcile import carry_out, look_ahead
from lab.test_coexistence import EXAMPLES, build

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@pytest.fixture
def machine() -> Iterator[NetworkNamespace]:
    with NetworkNamespace.create() as made:
        build(made)
        yield made


@pytest.mark.kernel
@pytest.mark.parametrize("name", ["seed.rsc", "seed.toml"])
def test_the_plan_reads_as_before_and_the_kernel_takes_it(name: str, machine: NetworkNamespace) -> None:
    router = read_configuration(str(EXAMPLES / name)).router
    assert router is not None
    with machine.entered(), LinuxKernel() as kernel:
        prospect = look_ahead(kernel, router, kernel.read_machine(), seed=0x5EED)
        carry_out(kernel, prospect)
        listed = machine.run(["nft", "list", "table", "inet", "evenflow"])
        assert look_ahead(kernel, router, kernel.read_machine()).plan.in_sync
    said = "".join(f"{line}\n" for operation in prospect.plan.operations for line in render_lines(operation))
    golden = HERE / f"{name}.plan"
    if os.environ.get("EVENFLOW_WRITE_GOLDEN"):
        golden.write_text(said)
    assert said == golden.read_text()
    table = prospect.desired.table
    assert table is not None
    for chain in table.chains:
        assert f"chain {chain} {{" in listed
    for named in table.sets.values():
        assert f"{'map' if named.verdicts else 'set'} {named.name} {{" in listed
