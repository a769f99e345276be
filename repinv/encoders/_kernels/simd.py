"""Neighbouring entries of an array at once, which the compiler does not see by itself.

Votes go to scattered places, so that loops over pixels stay scalar; fewer loads and stores are
what can be saved there. Sums of few columns are too short for the compiler's own vectors, which
begin with tests whether arrays overlap.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

# What it returns takes one argument less than the function, which type checkers do not see.
intrinsic: Any = extending.intrinsic
alloca_once: Any = cgutils.alloca_once


def _pair_at(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> tuple[Any, int]:
    """Pointer to two entries of a contiguous array, and their alignment."""
    data = context.make_array(kind)(context, builder, array).data
    entry = builder.gep(data, [index])
    pair = ir.VectorType(context.get_value_type(kind.dtype), 2)
    return builder.bitcast(entry, pair.as_pointer()), kind.dtype.bitwidth // 8


def _pair_of(builder: Any, first: Any, second: Any) -> Any:
    """A vector of two scalars."""
    empty = ir.Constant(ir.VectorType(first.type, 2), ir.Undefined)
    whole = ir.IntType(32)
    vector = builder.insert_element(empty, first, ir.Constant(whole, 0))
    return builder.insert_element(vector, second, ir.Constant(whole, 1))


def _spread(builder: Any, scalar: Any, lanes: int) -> Any:
    """A vector of one scalar, repeated."""
    whole = ir.IntType(32)
    empty = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    one = builder.insert_element(empty, scalar, ir.Constant(whole, 0))
    mask = ir.Constant(ir.VectorType(whole, lanes), [0] * lanes)
    return builder.shuffle_vector(one, empty, mask)


@intrinsic
def add_spread_pair(typingctx, array, index, pairs, at, first, second):  # type: ignore[no-untyped-def]
    """array[index : index + 4] += (first·a, second·a, first·b, second·b), a pair (a, b) at `at`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, align = _pair_at(context, builder, signature.args[2], args[2], args[3])
        pair = builder.load(source, align=align)
        weights = _pair_of(builder, args[4], args[5])

        def four(vector: Any, order: tuple[int, ...]) -> Any:
            mask = ir.Constant(ir.VectorType(ir.IntType(32), 4), list(order))
            return builder.shuffle_vector(vector, vector, mask)

        spread, repeated = four(pair, (0, 0, 1, 1)), four(weights, (0, 1, 0, 1))
        where, _ = _pair_at(context, builder, signature.args[0], args[0], args[1])
        where = builder.bitcast(where, spread.type.as_pointer())
        votes = builder.fmul(spread, repeated, flags=["contract"])
        total = builder.fadd(builder.load(where, align=align), votes, flags=["contract"])
        builder.store(total, where, align=align)
        return context.get_dummy_value()

    dtype, whole = array.dtype, types.uint64
    return types.void(array, whole, pairs, whole, dtype, dtype), codegen


@intrinsic
def add_mixed_pairs(typingctx, out, to, table, i, j, left, right):  # type: ignore[no-untyped-def]
    """out[to : to + 2] += left·table[i : i + 2] + right·table[j : j + 2]."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where, align = _pair_at(context, builder, signature.args[0], args[0], args[1])
        total = builder.load(where, align=align)
        for index, weight in ((args[3], args[5]), (args[4], args[6])):
            entry, _ = _pair_at(context, builder, signature.args[2], args[2], index)
            pair = builder.load(entry, align=align)
            share = builder.fmul(pair, _pair_of(builder, weight, weight), flags=["contract"])
            total = builder.fadd(total, share, flags=["contract"])
        builder.store(total, where, align=align)
        return context.get_dummy_value()

    whole = types.uint64
    dtype = out.dtype
    return types.void(out, whole, table, whole, whole, dtype, dtype), codegen


@intrinsic
def add_columns(  # type: ignore[no-untyped-def]
    typingctx, out, to, sums, at, length, period, lower, upper, offset
):
    """Lines of 2·period entries: out[to] += Σ lower·sums, and out[to + 1] += Σ upper·sums.

    The sums run over `length` lines from `at` on, their weights begin at `offset`. `period` is
    a multiple of four; `out` has any number of dimensions.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, lanes = signature.args, 8
        scalar = context.get_value_type(kinds[0].dtype)
        vector, align = ir.VectorType(scalar, lanes), kinds[0].dtype.bitwidth // 8
        count = ir.Constant(args[5].type, lanes)

        def entry(which: int, index: Any) -> Any:
            data = context.make_array(kinds[which])(context, builder, args[which]).data
            return builder.gep(data, [index])

        def eight(which: int, index: Any) -> Any:
            return builder.bitcast(entry(which, index), vector.as_pointer())

        step = builder.shl(args[5], ir.Constant(args[5].type, 1))
        low_line, first = builder.mul(args[1], step), builder.mul(args[3], step)
        high_line = builder.add(low_line, step)
        with cgutils.for_range(builder, builder.udiv(step, count)) as chunk:
            k = builder.mul(chunk.index, count)
            totals = []
            for line in (low_line, high_line):
                where = eight(0, builder.add(line, k))
                total = alloca_once(builder, vector)
                builder.store(builder.load(where, align=align), total)
                totals.append((where, total))
            with cgutils.for_range(builder, args[4]) as column:
                x = builder.add(builder.add(first, k), builder.mul(column.index, step))
                own = builder.load(eight(2, x), align=align)
                for weights, (_, total) in zip((6, 7), totals, strict=True):
                    weight = builder.load(entry(weights, builder.add(args[8], column.index)))
                    spread = _spread(builder, weight, lanes)
                    share = builder.fmul(own, spread, flags=["contract"])
                    added = builder.fadd(builder.load(total), share, flags=["contract"])
                    builder.store(added, total)
            for where, total in totals:
                builder.store(builder.load(total), where, align=align)
        return context.get_dummy_value()

    whole = types.uint64
    votes = (out, whole, sums, whole, whole, whole, lower, upper, whole)
    return types.void(*votes), codegen


@intrinsic
def weighted_sum(  # type: ignore[no-untyped-def]
    typingctx, out, to, source, at, step, length, weights, offset
):
    """out[to : to + 8] = Σ weights[offset + i]·source[at + i·step : … + 8], over `length` i."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, lanes = signature.args, 8
        scalar = context.get_value_type(kinds[0].dtype)
        vector, align = ir.VectorType(scalar, lanes), kinds[0].dtype.bitwidth // 8

        def entry(which: int, index: Any) -> Any:
            data = context.make_array(kinds[which])(context, builder, args[which]).data
            return builder.gep(data, [index])

        def eight(which: int, index: Any) -> Any:
            return builder.bitcast(entry(which, index), vector.as_pointer())

        total = alloca_once(builder, vector)
        builder.store(ir.Constant(vector, [0.0] * lanes), total)
        with cgutils.for_range(builder, args[5]) as one:
            own = eight(2, builder.add(args[3], builder.mul(one.index, args[4])))
            weight = builder.load(entry(6, builder.add(args[7], one.index)))
            share = builder.fmul(
                builder.load(own, align=align), _spread(builder, weight, lanes), flags=["contract"]
            )
            builder.store(builder.fadd(builder.load(total), share, flags=["contract"]), total)
        builder.store(builder.load(total), eight(0, args[1]), align=align)
        return context.get_dummy_value()

    whole = types.uint64
    kinds = (out, whole, source, whole, whole, whole, weights, whole)
    return types.void(*kinds), codegen


def _scaled(kept: bool) -> Any:
    """An intrinsic: out[to : to + 8] = factor·source[at : at + 8], plus what it held if `kept`."""

    def scaled(typingctx, out, to, source, at, factor):  # type: ignore[no-untyped-def]
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind, lanes = signature.args[0].dtype, 8
            vector = ir.VectorType(context.get_value_type(kind), lanes)
            align = kind.bitwidth // 8

            def eight(which: int) -> Any:
                data = context.make_array(signature.args[which])(context, builder, args[which]).data
                entry = builder.gep(data, [args[which + 1]])
                return builder.bitcast(entry, vector.as_pointer())

            share = builder.fmul(
                builder.load(eight(2), align=align),
                _spread(builder, args[4], lanes),
                flags=["contract"],
            )
            if kept:
                held = builder.load(eight(0), align=align)
                share = builder.fadd(held, share, flags=["contract"])
            builder.store(share, eight(0), align=align)
            return context.get_dummy_value()

        whole = types.uint64
        return types.void(out, whole, source, whole, out.dtype), codegen

    return intrinsic(scaled)


put_scaled = _scaled(kept=False)
add_scaled = _scaled(kept=True)
