"""What services keep in English is said in the reader's language."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.utils import translation

from stations import contract_chain, pki
from stations.services import passwords, rollouts, security_profiles, signing, words
from stations.services.pnc import contracts, installs

pytestmark = pytest.mark.nodb


def kept(module: object) -> set[str]:
    """The sentences of a module that are neither documentation nor raised at who called."""
    tree = ast.parse(Path(module.__file__).read_text())  # type: ignore[attr-defined]
    left_out = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and isinstance(
            node.body[0], ast.Expr
        ):
            left_out.add(id(node.body[0].value))
        if isinstance(node, ast.Raise):
            left_out |= {id(part) for part in ast.walk(node)}
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(part) for part in node.values}
    found = set()
    for node in ast.walk(tree):
        text = ""
        if id(node) not in left_out and isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
        elif id(node) not in left_out and isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        if " " in text and text.endswith((".", ". 7")):
            found.add(text)
    return found


MODULES = (signing, passwords, rollouts, security_profiles, contract_chain, contracts, installs)
SENTENCES = sorted(set().union(*(kept(module) for module in MODULES)))


@pytest.mark.parametrize("text", SENTENCES)
def test_every_sentence_that_is_kept_is_known(text: str) -> None:
    with translation.override("de"):
        assert words.said(text) != text


def test_what_is_wrong_with_a_request_is_said() -> None:
    with pytest.raises(Exception, match="PKCS") as refused:
        pki.wish("nonsense")
    with translation.override("de"):
        assert "PKCS" in words.said(str(refused.value)) != str(refused.value)


def test_what_stands_inside_is_said_as_well() -> None:
    text = "Time was up in the step “Gets its certificate”. Each request is approved by a person here."
    with translation.override("de"):
        told = words.said(text)
        assert translation.gettext("Gets its certificate") in told
        assert translation.gettext("Each request is approved by a person here.") in told
    with translation.override("en"):
        assert words.said(text) == text
    assert words.said("The mast fell over.") == "The mast fell over."
