"""How kernels are compiled: a kernel's machine code is the same whether it is cached or not.

A helper that is not inlined is compiled twice, for itself and within its caller, and a process that
has just compiled both may call the first where one that reads the cache calls the second. These
round differently.
"""

import importlib
import inspect
import pkgutil

from numba.core.dispatcher import Dispatcher

import repinv.encoders


def dispatchers():
    """All compiled functions of the encoders, by their names."""
    found = {}
    for module in pkgutil.walk_packages(repinv.encoders.__path__, "repinv.encoders."):
        loaded = importlib.import_module(module.name)
        for name, value in vars(loaded).items():
            if isinstance(value, Dispatcher) and value.py_func.__module__ == module.name:
                found[f"{module.name}.{name}"] = value
    return found


def called(dispatcher):
    """The compiled functions that one names."""
    function = inspect.unwrap(dispatcher.py_func)
    known = function.__globals__ | inspect.getclosurevars(function).nonlocals
    names = function.__code__.co_names + function.__code__.co_freevars
    modules = [value for name in names if inspect.ismodule(value := known.get(name))]
    direct = [known.get(name) for name in names]
    through = [getattr(module, name, None) for module in modules for name in names]
    return [value for value in direct + through if isinstance(value, Dispatcher)]


def test_what_kernels_call_is_inlined():
    kernels = dispatchers()
    assert len(kernels) > 40
    pairs = [
        (name, callee)
        for name, dispatcher in kernels.items()
        for callee in called(dispatcher)
        if callee is not dispatcher
    ]
    assert len(pairs) > 30
    apart = {
        f"{name} calls {callee.py_func.__name__}"
        for name, callee in pairs
        if not callee.targetoptions.get("forceinline")
    }
    assert not apart
