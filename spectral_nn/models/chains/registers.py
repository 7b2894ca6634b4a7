"""Vector code for lanes: the six inner loops of the E-step, kept in registers.

At every time step the state probabilities of a batch of 32 lanes are a ``(K, LANES)`` table with
the lanes innermost, so that one row fills whole vector registers.  The loops are written as LLVM
vector code, because a plain Numba loop spills its accumulators to memory and moves single numbers
(measured: 6-8 Gflop/s against 220, where the BLAS of NumPy reaches 20-110 on these shapes).

* `advance`: ``out[j, :] = sum_i M[i, j] in[i, :]``, four rows of `out` in two registers each;
* `count`: ``xi[i, j] += sum_l a[i, l] w[j, l]`` over a stretch of time steps, in tiles of 4 x 4
  registers, or 4 x 2; the tables may have different numbers of rows;
* `look_up` and `scatter`: rows of the emission table and of its counts, transposed in registers;
* `normalise`: one step of the filter;
* `exponentiate`: likelihoods of logarithms (NumPy's exponential takes five times as long).

All work on flat arrays and on states padded to a multiple of the tile; only
`spectral_nn.models.chains.kernels` calls them.  The sums of `advance` and `count` have to fit into
the registers of the processor, 32 of 512 bits or 16 of 256: an E-step of 45 states took 1.8 times
as long where they did not.
"""

from __future__ import annotations

from math import factorial, log

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 32
TILE = 4
_LOG_2 = log(2.0)
# Whether precision is single: its bits, those of the mantissa, the order of the Taylor series, the
# least exponent, and log 2 in so few bits that its product with a small whole number is exact.
_EXP = {True: (32, 23, 7, -87.0, 0.693359375), False: (64, 52, 13, -708.0, 0.693145751953125)}


def _has_wide_registers() -> bool:
    """Whether the processor has AVX-512."""
    try:
        return bool(binding.get_host_cpu_features().get("avx512f"))
    except RuntimeError:  # it does not say
        return False


_VECTOR_BITS, _TILE_COLUMNS = (512, 4) if _has_wide_registers() else (256, 2)


def padded(n_components: int) -> int:
    """Number of states rounded up to a whole number of register tiles."""
    return -(-n_components // TILE) * TILE


def _pointers(context, builder, sig, args):
    """Data pointers of the leading array arguments, in order."""
    return [
        context.make_array(ty)(context, builder, value).data
        for ty, value in zip(sig.args, args, strict=True)
        if isinstance(ty, types.Array)
    ]


def _index(builder, type_, base, *terms):
    for term in terms:
        base = builder.add(base, ir.Constant(type_, term) if isinstance(term, int) else term)
    return base


def _load_vector(builder, pointer, index, vector):
    address = builder.bitcast(builder.gep(pointer, [index]), vector.as_pointer())
    value = builder.load(address)
    value.align = _item_bytes(vector.element)
    return value


def _store_vector(builder, value, pointer, index):
    address = builder.bitcast(builder.gep(pointer, [index]), value.type.as_pointer())
    builder.store(value, address).align = _item_bytes(value.type.element)


def _item_bytes(element):
    return 4 if isinstance(element, ir.FloatType) else 8


def _register_width(element):
    """Numbers that fill one register."""
    return _VECTOR_BITS // 8 // _item_bytes(element)


def _shuffle(builder, a, b, order):
    """Entries `order` of the concatenation of two vectors."""
    lane = ir.IntType(32)
    mask = ir.Constant(ir.VectorType(lane, len(order)), list(order))
    return builder.shuffle_vector(a, b, mask)


def _splat(builder, scalar, vector):
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, scalar, ir.Constant(ir.IntType(32), 0))
    return _shuffle(builder, first, empty, [0] * vector.count)


def _fma(builder, x, y, z):
    return builder.fadd(z, builder.fmul(x, y, flags=("contract",)), flags=("contract",))


def _accumulate(builder, count, n_accumulators, vector, body):
    """Emit ``for i in range(count): acc = body(i, acc)``, the accumulators kept in registers."""
    zero = ir.Constant(vector, [0.0] * vector.count)
    entry = builder.block
    loop = builder.append_basic_block("accumulate")
    done = builder.append_basic_block("accumulated")
    builder.branch(loop)
    builder.position_at_end(loop)
    i = builder.phi(count.type)
    i.add_incoming(ir.Constant(count.type, 0), entry)
    before = [builder.phi(vector) for _ in range(n_accumulators)]
    after = body(i, before)
    for phi, value in zip(before, after, strict=True):
        phi.add_incoming(zero, entry)
        phi.add_incoming(value, loop)
    following = builder.add(i, ir.Constant(count.type, 1))
    i.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
    builder.position_at_end(done)
    return after


@intrinsic
def advance(typingctx, out, out_at, matrix, table, table_at, n_rows, n_columns):
    """``out[j, :] = sum_i matrix[i, j] table[i, :]`` for tables of LANES columns.

    Parameters are 1-D arrays and the offset of the table inside them; the columns of `matrix` are
    padded.
    """
    sig = types.void(out, types.intp, matrix, table, types.intp, types.intp, types.intp)

    def codegen(context, builder, sig, args):
        out, matrix, table = _pointers(context, builder, sig, args)
        out_at, table_at, n_rows, size = args[1], args[4], args[5], args[6]
        scalar = context.get_value_type(sig.args[0].dtype)
        width = 2 * _register_width(scalar)
        vector = ir.VectorType(scalar, width)
        integer = size.type
        zero, tile, lanes, step = (ir.Constant(integer, v) for v in (0, TILE, LANES, width))
        with (
            cgutils.for_range_slice(builder, zero, lanes, step) as (part, _),
            cgutils.for_range_slice(builder, zero, size, tile) as (j, _),
        ):

            def body(i, sums):
                row_at = _index(builder, integer, table_at, builder.mul(i, lanes), part)
                row = _load_vector(builder, table, row_at, vector)
                entry = _index(builder, integer, builder.mul(i, size), j)
                entries = [
                    builder.load(builder.gep(matrix, [_index(builder, integer, entry, c)]))
                    for c in range(TILE)
                ]
                return [
                    _fma(builder, _splat(builder, one, vector), row, total)
                    for one, total in zip(entries, sums, strict=True)
                ]

            for c, total in enumerate(_accumulate(builder, n_rows, TILE, vector, body)):
                column = builder.mul(_index(builder, integer, j, c), lanes)
                _store_vector(builder, total, out, _index(builder, integer, out_at, column, part))
        return context.get_dummy_value()

    return sig, codegen


@intrinsic
def count(typingctx, xi, left, left_at, right, right_at, n_steps, n_left, n_right):
    """``xi[i, j] += sum over steps and lanes of left[i, :] right[j, :]``, in tiles."""
    integers = types.intp, types.intp, types.intp
    sig = types.void(xi, left, types.intp, right, types.intp, *integers)

    def codegen(context, builder, sig, args):
        xi, left, right = _pointers(context, builder, sig, args)
        left_at, right_at, n_steps, n_left, n_right = (args[i] for i in (2, 4, 5, 6, 7))
        scalar = context.get_value_type(sig.args[1].dtype)
        width = _register_width(scalar)
        vector = ir.VectorType(scalar, width)
        integer = n_left.type
        zero, rows, columns, lanes = (
            ir.Constant(integer, v) for v in (0, TILE, _TILE_COLUMNS, LANES)
        )
        left_step, right_step = builder.mul(n_left, lanes), builder.mul(n_right, lanes)
        with (
            cgutils.for_range_slice(builder, zero, n_left, rows) as (i, _),
            cgutils.for_range_slice(builder, zero, n_right, columns) as (j, _),
        ):

            def body(t, sums):
                before, after = builder.mul(t, left_step), builder.mul(t, right_step)
                a_at = _index(builder, integer, left_at, before, builder.mul(i, lanes))
                w_at = _index(builder, integer, right_at, after, builder.mul(j, lanes))
                for part in range(0, LANES, width):
                    a, w = (
                        [
                            _load_vector(
                                builder, p, _index(builder, integer, at, c * LANES + part), vector
                            )
                            for c in range(n)
                        ]
                        for p, at, n in ((left, a_at, TILE), (right, w_at, _TILE_COLUMNS))
                    )
                    sums = [
                        _fma(builder, a[n // _TILE_COLUMNS], w[n % _TILE_COLUMNS], total)
                        for n, total in enumerate(sums)
                    ]
                return sums

            totals = _accumulate(builder, n_steps, TILE * _TILE_COLUMNS, vector, body)
            for n, total in enumerate(totals):
                row = builder.mul(_index(builder, integer, i, n // _TILE_COLUMNS), n_right)
                address = builder.gep(xi, [_index(builder, integer, row, j, n % _TILE_COLUMNS)])
                builder.store(
                    builder.fadd(builder.load(address), _sum_lanes(builder, total)), address
                )
        return context.get_dummy_value()

    return sig, codegen


def _sum_lanes(builder, value):
    """Sum of a vector's entries, in double precision."""
    width = value.type.count
    if isinstance(value.type.element, ir.FloatType):
        value = builder.fpext(value, ir.VectorType(ir.DoubleType(), width))
    while width > 1:
        width //= 2
        low, high = (
            _shuffle(builder, value, value, part)
            for part in (range(width), range(width, 2 * width))
        )
        value = builder.fadd(low, high)
    return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))


def _transpose(builder, rows):
    """Transpose every 4 x 4 block of four vectors."""
    width = rows[0].type.count
    blocks = range(0, width, TILE)
    low = [g + e for g in blocks for e in (0, width, 1, width + 1)]
    high = [g + e for g in blocks for e in (2, width + 2, 3, width + 3)]
    first = [g + e for g in blocks for e in (0, 1, width, width + 1)]
    second = [g + e for g in blocks for e in (2, 3, width + 2, width + 3)]
    halves = [
        (_shuffle(builder, rows[0], rows[1], part), _shuffle(builder, rows[2], rows[3], part))
        for part in (low, high)
    ]
    return [_shuffle(builder, a, b, part) for a, b in halves for part in (first, second)]


def _rows_of(builder, symbols, at, size, group):
    """Where the table rows of a group of lanes begin."""
    rows = []
    for lane in group:
        symbol = builder.load(builder.gep(symbols, [_index(builder, size.type, at, lane)]))
        rows.append(builder.mul(builder.sext(symbol, size.type), size))
    return rows


def _groups(scalar):
    """Lanes that fill one vector register, group after group."""
    width = _register_width(scalar)
    return [range(start, start + width) for start in range(0, LANES, width)]


@intrinsic
def look_up(typingctx, out, out_at, table, symbols, symbols_at, n_components):
    """``out[k, lane] = table[symbols[lane], k]``: rows are loaded and transposed in registers."""
    sig = types.void(out, types.intp, table, symbols, types.intp, types.intp)

    def codegen(context, builder, sig, args):
        out, table, symbols = _pointers(context, builder, sig, args)
        out_at, symbols_at, size = args[1], args[4], args[5]
        scalar = context.get_value_type(sig.args[0].dtype)
        quad = ir.VectorType(scalar, TILE)
        integer = size.type
        zero, tile, lanes = (ir.Constant(integer, v) for v in (0, TILE, LANES))
        for group in _groups(scalar):
            rows = _rows_of(builder, symbols, symbols_at, size, group)
            with cgutils.for_range_slice(builder, zero, size, tile) as (k, _):
                quads = [_load_vector(builder, table, builder.add(row, k), quad) for row in rows]
                wide = []
                for c in range(TILE):
                    parts = quads[c::TILE]
                    while len(parts) > 1:
                        both = range(2 * parts[0].type.count)
                        parts = [
                            _shuffle(builder, a, b, both)
                            for a, b in zip(parts[::2], parts[1::2], strict=True)
                        ]
                    wide += parts
                for c, row in enumerate(_transpose(builder, wide)):
                    at = builder.mul(_index(builder, integer, k, c), lanes)
                    at = _index(builder, integer, out_at, at, group[0])
                    _store_vector(builder, row, out, at)
        return context.get_dummy_value()

    return sig, codegen


@intrinsic
def scatter(typingctx, emit, table, symbols, symbols_at, n_components):
    """``emit[symbols[lane], k] += table[k, lane]`` lane by lane, in the precision of `emit`."""
    sig = types.void(emit, table, symbols, types.intp, types.intp)

    def codegen(context, builder, sig, args):
        emit, table, symbols = _pointers(context, builder, sig, args)
        symbols_at, size = args[3], args[4]
        scalar = context.get_value_type(sig.args[1].dtype)
        quad = ir.VectorType(context.get_value_type(sig.args[0].dtype), TILE)
        integer = size.type
        zero, tile, lanes = (ir.Constant(integer, v) for v in (0, TILE, LANES))
        for group in _groups(scalar):
            wide = ir.VectorType(scalar, len(group))
            rows = _rows_of(builder, symbols, symbols_at, size, group)
            with cgutils.for_range_slice(builder, zero, size, tile) as (k, _):
                states = []
                for c in range(TILE):
                    at = builder.mul(_index(builder, integer, k, c), lanes)
                    at = _index(builder, integer, at, group[0])
                    states.append(_load_vector(builder, table, at, wide))
                turned = _transpose(builder, states)
                for lane, row in enumerate(rows):
                    block = lane // TILE * TILE
                    part = _shuffle(
                        builder,
                        turned[lane % TILE],
                        turned[lane % TILE],
                        range(block, block + TILE),
                    )
                    if scalar != quad.element:
                        part = builder.fpext(part, quad)
                    at = builder.add(row, k)
                    total = builder.fadd(_load_vector(builder, emit, at, quad), part)
                    _store_vector(builder, total, emit, at)
        return context.get_dummy_value()

    return sig, codegen


@intrinsic
def normalise(typingctx, filtered, emitted, at, total, n_components):
    """Multiply predictions by emissions and divide both by the sum over states, kept in `total`.

    A lane whose observation is impossible becomes zero, and so does its total.
    """
    sig = types.void(filtered, emitted, types.intp, total, types.intp)

    def codegen(context, builder, sig, args):
        filtered, emitted, total = _pointers(context, builder, sig, args)
        at, size = args[2], args[4]
        scalar = context.get_value_type(sig.args[0].dtype)
        vector = ir.VectorType(scalar, LANES)
        integer = size.type
        zero, one = (ir.Constant(integer, v) for v in (0, 1))
        none, unit = (ir.Constant(vector, [v] * LANES) for v in (0.0, 1.0))

        def place(k):
            return builder.add(at, builder.mul(k, ir.Constant(integer, LANES)))

        def multiply(k, sums):
            joint = builder.fmul(
                _load_vector(builder, filtered, place(k), vector),
                _load_vector(builder, emitted, place(k), vector),
            )
            _store_vector(builder, joint, filtered, place(k))
            return [builder.fadd(sums[0], joint)]

        (summed,) = _accumulate(builder, size, 1, vector, multiply)
        _store_vector(builder, summed, total, zero)
        possible = builder.fcmp_ordered(">", summed, none)
        inverse = builder.select(possible, builder.fdiv(unit, summed), none)
        with cgutils.for_range_slice(builder, zero, size, one) as (k, _):
            for table in (filtered, emitted):
                scaled = builder.fmul(_load_vector(builder, table, place(k), vector), inverse)
                _store_vector(builder, scaled, table, place(k))
        return context.get_dummy_value()

    return sig, codegen


@intrinsic
def exponentiate(typingctx, table, at, shift, n_components):
    """Replace ``table[k, lane]`` by ``exp(table[k, lane] - shift[lane])``, at the most 1.

    Zero where that is below the least normal number. ``exp(x) = 2^n exp(r)``, n the whole number
    next to x / log 2, by the Taylor series of ``|r| < log(2) / 2`` up to rounding.
    """
    sig = types.void(table, types.intp, shift, types.intp)

    def codegen(context, builder, sig, args):
        table, shift = _pointers(context, builder, sig, args)
        at, n_components = args[1], args[3]
        scalar = context.get_value_type(sig.args[0].dtype)
        width = _register_width(scalar)
        vector = ir.VectorType(scalar, width)
        single = isinstance(scalar, ir.FloatType)
        bits, mantissa, order, least, high = _EXP[single]
        whole = ir.VectorType(ir.IntType(bits), width)
        integer = n_components.type
        zero, one = (ir.Constant(integer, v) for v in (0, 1))

        def constant(value, kind=vector):
            return ir.Constant(kind, [value] * width)

        magic = 1.5 * 2.0**mantissa  # added, it leaves n in the last bits
        for part in range(0, LANES, width):
            off = _load_vector(builder, shift, ir.Constant(integer, part), vector)
            with cgutils.for_range_slice(builder, zero, n_components, one) as (k, _):
                here = builder.mul(k, ir.Constant(integer, LANES))
                here = _index(builder, integer, at, here, part)
                x = builder.fsub(_load_vector(builder, table, here, vector), off)
                possible = builder.fcmp_ordered(">=", x, constant(least))
                x = builder.select(possible, x, constant(0.0))
                moved = _fma(builder, x, constant(1 / _LOG_2), constant(magic))
                n = builder.fsub(moved, constant(magic))
                r = _fma(builder, n, constant(-high), x)
                r = _fma(builder, n, constant(high - _LOG_2), r)
                power = constant(1 / factorial(order))
                for i in range(order - 1, -1, -1):
                    power = _fma(builder, power, r, constant(1 / factorial(i)))
                exponent = builder.shl(builder.bitcast(moved, whole), constant(mantissa, whole))
                raised = builder.add(builder.bitcast(power, whole), exponent)
                result = builder.select(possible, builder.bitcast(raised, vector), constant(0.0))
                _store_vector(builder, result, table, here)
        return context.get_dummy_value()

    return sig, codegen
