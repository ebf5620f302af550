"""Specs: small frozen objects that say *what* to do and compare by value.

A spec is a frozen dataclass registered as a JAX pytree. Its numbers are leaves, so a compiled
function takes a new noise scale without compiling again; everything else (counts that decide
shapes, strings, callables) is declared with :func:`static` and belongs to the structure. Because
two equal specs hash alike, a cloned estimator finds the compiled code of the original.
"""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")


def static(*, default: Any = ..., **kwargs: Any) -> Any:
    """Declare a field that belongs to the structure of a spec, not to its numbers."""
    if default is not ...:
        kwargs["default"] = default
    return field(metadata={"static": True}, **kwargs)


@dataclass_transform(frozen_default=True, field_specifiers=(field, static))
def spec(cls: type[T]) -> type[T]:
    """Turn a class with annotated fields into a spec.

    JAX rebuilds a spec without calling its constructor, so ``__post_init__`` only ever sees what
    a person typed and may check it.
    """
    cls = dataclass(frozen=True)(cls)
    names = [f.name for f in fields(cls) if not f.metadata.get("static")]  # type: ignore[arg-type]
    structure = [f.name for f in fields(cls) if f.metadata.get("static")]  # type: ignore[arg-type]

    def flatten_with_keys(instance):
        leaves = [(jax.tree_util.GetAttrKey(n), getattr(instance, n)) for n in names]
        return leaves, tuple(getattr(instance, n) for n in structure)

    def unflatten(aux, leaves):
        instance = object.__new__(cls)
        for name, value in zip(names + structure, (*leaves, *aux), strict=True):
            object.__setattr__(instance, name, value)
        return instance

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten)
    return cls
