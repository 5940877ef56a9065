// Branches behind a trunk, through all layers of a decoder of the Llama shape, in bfloat16 on AMX tiles.
//
// What it is: `read_branches`, which one thread calls for some branches of a query, and `pack`, which lays a matrix out
// as tiles want it. What it decides: a thread keeps its branches to itself from the first layer to the last, so states
// stay in its cache and no thread waits for another. States between layers are float32, what enters a product is
// bfloat16, every sum is float32. Attention to trunk and own tokens is one softmax with a running maximum; weights
// after the exponential are bfloat16. Nothing here knows a family: norms of queries and keys and biases may be missing.
//
// Tiles: a left tile holds 16 rows of 32 numbers, a right tile 32 numbers of 16 columns in pairs, a sum 16 x 16.
// A packed matrix of N columns and K numbers each is N/32 panels of K/32 steps of two right tiles.
//
// Letters: B branches, L tokens of a branch, N tokens of each that ask, T = B L, D width, H heads, K key/value heads,
// G = H / K, E width of a head, F width of the feed-forward part, P trunk tokens.

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

using bf16 = uint16_t;

namespace {

constexpr int64_t kBlock = 32;    // rows and columns of a block of sums
constexpr int64_t kTile = 16 * 32;  // numbers of a right tile
constexpr int64_t kSteps = 16;    // of a panel that meets all rows: 32 kilobytes
constexpr int64_t kKeys = 256;    // keys whose scores are held at once
constexpr float kLog2E = 1.44269504f;
constexpr float kNone = -std::numeric_limits<float>::infinity();

int64_t padded(int64_t count) { return (count + kBlock - 1) / kBlock * kBlock; }

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Memory = std::unique_ptr<T[], Free>;

template <typename T>
Memory<T> zeros(int64_t count) {
  const size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
  auto* memory = static_cast<T*>(std::aligned_alloc(64, bytes));
  std::memset(memory, 0, bytes);
  return Memory<T>(memory);
}

__m512 exp2_of(__m512 x) {  // to 2e-7 of its size; polynomial of 2^f for f in [-1/2, 1/2]
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, whole);
  __m512 sum = _mm512_set1_ps(1.3333558e-3f);
  for (const float factor : {9.6181291e-3f, 5.5504109e-2f, 2.4022651e-1f, 6.9314718e-1f, 1.0f})
    sum = _mm512_fmadd_ps(sum, f, _mm512_set1_ps(factor));
  return _mm512_scalef_ps(sum, whole);
}

void store_narrow(bf16* to, __m512 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(x));
}

// Where number k of column n stands in a packed matrix of `steps` steps.
int64_t place(int64_t n, int64_t k, int64_t steps) {
  return ((n / 32 * steps + k / 32) * 2 + n % 32 / 16) * kTile + k % 32 / 2 * 32 + n % 16 * 2 + k % 2;
}

// Put column n of a matrix whose columns lie in one piece; `numbers` is even.
void put_column(bf16* to, int64_t n, const bf16* column, int64_t numbers, int64_t steps) {
  for (int64_t k = 0; k < numbers; k += 2) std::memcpy(to + place(n, k, steps), column + k, 2 * sizeof(bf16));
}

// Put numbers k and k + 1 (k is even) of all columns, a multiple of 16.
void put_pair(bf16* to, int64_t k, const bf16* even, const bf16* odd, int64_t columns, int64_t steps) {
  for (int64_t n = 0; n < columns; n += 16) {
    const auto wide = [n](const bf16* from) {
      return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + n)));
    };
    _mm512_storeu_si512(to + place(n, k, steps), _mm512_or_si512(wide(even), _mm512_slli_epi32(wide(odd), 16)));
  }
}

struct alignas(64) Tiles {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Compilers do not know which memory tiles read and write.
void settle() { asm volatile("" ::: "memory"); }

void configure_tiles() {
  const Tiles tiles;
  asm volatile("" ::"r"(&tiles) : "memory");
  _tile_loadconfig(&tiles);
}

// Add `rows` x 32 products of `steps` steps: sums in tiles 0 to 3, left rows in 4 and 5, right columns in 6 and 7.
template <bool kTwo, bool kAdd>
void multiply(const bf16* left, int64_t left_row, const bf16* right, int64_t steps, float* sums, int64_t sums_row) {
  const int64_t bytes = 2 * left_row, out = 4 * sums_row;
  settle();
  if (kAdd) {
    _tile_loadd(0, sums, out);
    _tile_loadd(1, sums + 16, out);
    if (kTwo) {
      _tile_loadd(2, sums + 16 * sums_row, out);
      _tile_loadd(3, sums + 16 * sums_row + 16, out);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if (kTwo) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  for (int64_t step = 0; step < steps; ++step) {
    _tile_loadd(6, right, 64);
    _tile_loadd(4, left, bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, right + kTile, 64);
    _tile_dpbf16ps(1, 4, 7);
    if (kTwo) {
      _tile_loadd(5, left + 16 * left_row, bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    left += 32;
    right += 2 * kTile;
  }
  _tile_stored(0, sums, out);
  _tile_stored(1, sums + 16, out);
  if (kTwo) {
    _tile_stored(2, sums + 16 * sums_row, out);
    _tile_stored(3, sums + 16 * sums_row + 16, out);
  }
  settle();
}

template <bool kAdd>
void multiply_rows(int64_t rows, const bf16* left, int64_t left_row, const bf16* right, int64_t steps, float* sums,
                   int64_t sums_row) {
  if (rows > 16)
    multiply<true, kAdd>(left, left_row, right, steps, sums, sums_row);
  else
    multiply<false, kAdd>(left, left_row, right, steps, sums, sums_row);
}

// Multiply all rows by `columns` columns of a packed matrix. One panel of the matrix, or as much of it as stays in a
// core's first cache, meets all rows before the next one.
void product(const bf16* left, int64_t left_row, int64_t rows, const bf16* right, int64_t steps, int64_t columns,
             float* sums) {
  for (int64_t column = 0; column < columns; column += kBlock)
    for (int64_t step = 0; step < steps; step += kSteps) {
      const bf16* panel = right + (column / 32 * steps + step) * 2 * kTile;
      const int64_t some_steps = std::min(kSteps, steps - step);
      for (int64_t row = 0; row < rows; row += kBlock) {
        const bf16* some = left + row * left_row + step * 32;
        float* to = sums + row * columns + column;
        if (step)
          multiply_rows<true>(rows - row, some, left_row, panel, some_steps, to, columns);
        else
          multiply_rows<false>(rows - row, some, left_row, panel, some_steps, to, columns);
      }
    }
}

void add_bias(float* row, const float* bias, int64_t width) {
  if (bias)
    for (int64_t i = 0; i < width; i += 16)
      _mm512_storeu_ps(row + i, _mm512_add_ps(_mm512_loadu_ps(row + i), _mm512_loadu_ps(bias + i)));
}

float root_mean_square(const float* row, int64_t width, float epsilon) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < width; i += 16) {
    const __m512 x = _mm512_loadu_ps(row + i);
    sum = _mm512_fmadd_ps(x, x, sum);
  }
  return std::sqrt(_mm512_reduce_add_ps(sum) / static_cast<float>(width) + epsilon);
}

// Write norm(row) * weight, as bfloat16 or float32.
template <typename Store>
void normalise(const float* row, const float* weight, int64_t width, float epsilon, Store store) {
  const __m512 factor = _mm512_set1_ps(1.0f / root_mean_square(row, width, epsilon));
  for (int64_t i = 0; i < width; i += 16)
    store(i, _mm512_mul_ps(_mm512_mul_ps(_mm512_loadu_ps(row + i), factor), _mm512_loadu_ps(weight + i)));
}

// Turn a head by the angles of its position; pairs lie half a head apart.
void turn(float* head, const float* cosines, const float* sines, int64_t width) {
  const int64_t half = width / 2;
  for (int64_t i = 0; i < half; i += 16) {
    const __m512 left = _mm512_loadu_ps(head + i), right = _mm512_loadu_ps(head + half + i);
    _mm512_storeu_ps(head + i, _mm512_fnmadd_ps(right, _mm512_loadu_ps(sines + i),
                                                _mm512_mul_ps(left, _mm512_loadu_ps(cosines + i))));
    _mm512_storeu_ps(head + half + i, _mm512_fmadd_ps(left, _mm512_loadu_ps(sines + half + i),
                                                      _mm512_mul_ps(right, _mm512_loadu_ps(cosines + half + i))));
  }
}

}  // namespace

extern "C" {

struct Layer {
  const float *before_attention, *before_feed, *query_norm, *key_norm;
  const bf16 *query, *key, *value, *out, *gate, *up, *down;
  const float *query_bias, *key_bias, *value_bias, *out_bias, *gate_bias, *up_bias, *down_bias;
};

struct Decoder {
  int64_t layers, width, heads, shared, head_width, feed;
  float scaling, epsilon;
  const Layer* layer;
  const float* norm;
};

// `keys` and `values` of each layer are the trunk's: K packed matrices of P columns, and K of E columns.
struct Query {
  int64_t length, asks, trunk, turned;
  const float *embedded, *cosines, *sines;
  const int64_t* places;
  const bf16 *const *keys, *const *values;
  float* out;
};

}  // extern "C"

namespace {

// All that one thread needs for its branches.
class Reader {
 public:
  Reader(const Decoder& decoder, const Query& query, int64_t first, int64_t count)
      : d_(decoder), q_(query), first_(first), count_(count), tokens_(count * query.length),
        group_(decoder.heads / decoder.shared), steps_(decoder.width / 32), head_steps_(decoder.head_width / 32),
        key_steps_(padded(tokens_) / 32), row_(decoder.width + 32), feed_row_(decoder.feed + 32),
        attended_row_(decoder.heads * decoder.head_width + 32) {
    const int64_t most = padded(tokens_), E = d_.head_width;
    states_ = zeros<float>(most * d_.width);
    normed_ = zeros<bf16>(most * row_);
    asking_ = zeros<bf16>(most * row_);
    queries_ = zeros<bf16>(padded(tokens_ * group_) * d_.shared * E);
    keys_ = zeros<bf16>(d_.shared * most * E);
    values_ = zeros<bf16>(d_.shared * most * E);
    attended_ = zeros<bf16>(most * attended_row_);
    feed_ = zeros<bf16>(most * feed_row_);
    sums_ = zeros<float>(most * std::max<int64_t>(E, 2 * kBlock));
    scores_ = zeros<float>(kBlock * kKeys);
    weights_ = zeros<bf16>(kBlock * (kKeys + 32));
    outputs_ = zeros<float>(kBlock * E);
    narrowed_ = zeros<bf16>(2 * E);
    std::memcpy(states_.get(), q_.embedded + first * q_.length * d_.width, tokens_ * d_.width * sizeof(float));
  }

  void run() {
    for (int64_t number = 0; number < d_.layers; ++number) layer(number, number + 1 == d_.layers);
    for (int64_t row = 0; row < count_ * q_.asks; ++row) {
      float* out = q_.out + (first_ * q_.asks + row) * d_.width;
      normalise(states_.get() + row * d_.width, d_.norm, d_.width, d_.epsilon,
                [&](int64_t i, __m512 x) { _mm512_storeu_ps(out + i, x); });
    }
  }

 private:
  // Token of a branch that asks as its n-th.
  int64_t asked(int64_t branch, int64_t n, bool last) const {
    return last ? q_.places[(first_ + branch) * q_.asks + n] : n;
  }

  const float* turns(const float* table, int64_t branch, int64_t token) const {
    const int64_t row = q_.turned == 1 ? 0 : first_ + branch;
    return table + (row * q_.length + token) * d_.head_width;
  }

  void layer(int64_t number, bool last) {
    const Layer& w = d_.layer[number];
    const int64_t asks = last ? q_.asks : q_.length;
    normalise_rows(w.before_attention, normed_.get(), tokens_);
    project_keys(w);
    project_values(w);
    const bf16* asking = normed_.get();
    if (last) {
      keep_asked();
      asking = asking_.get();
    }
    project_queries(w, asking, asks, last);
    for (int64_t head = 0; head < d_.shared; ++head) attend(number, head, asks, last);
    add_product(attended_.get(), attended_row_, count_ * asks, w.out, d_.heads * d_.head_width, w.out_bias);
    normalise_rows(w.before_feed, normed_.get(), count_ * asks);
    feed(w, count_ * asks);
    add_product(feed_.get(), feed_row_, count_ * asks, w.down, d_.feed, w.down_bias);
  }

  void normalise_rows(const float* weight, bf16* to, int64_t rows) {
    for (int64_t row = 0; row < rows; ++row)
      normalise(states_.get() + row * d_.width, weight, d_.width, d_.epsilon,
                [&](int64_t i, __m512 x) { store_narrow(to + row * row_ + i, x); });
  }

  // Keep the rows of the tokens that ask: places never move up, so rows may be moved in order.
  void keep_asked() {
    for (int64_t branch = 0; branch < count_; ++branch)
      for (int64_t n = 0; n < q_.asks; ++n) {
        const int64_t from = branch * q_.length + asked(branch, n, true), to = branch * q_.asks + n;
        std::memcpy(asking_.get() + to * row_, normed_.get() + from * row_, d_.width * sizeof(bf16));
      }
    auto kept = zeros<float>(count_ * q_.asks * d_.width);
    for (int64_t branch = 0; branch < count_; ++branch)
      for (int64_t n = 0; n < q_.asks; ++n)
        std::memcpy(kept.get() + (branch * q_.asks + n) * d_.width,
                    states_.get() + (branch * q_.length + asked(branch, n, true)) * d_.width,
                    d_.width * sizeof(float));
    std::memcpy(states_.get(), kept.get(), count_ * q_.asks * d_.width * sizeof(float));
  }

  void finish_head(float* head, const float* bias, const float* norm, int64_t branch, int64_t token) {
    add_bias(head, bias, d_.head_width);
    if (norm)
      normalise(head, norm, d_.head_width, d_.epsilon, [&](int64_t i, __m512 x) { _mm512_storeu_ps(head + i, x); });
    turn(head, turns(q_.cosines, branch, token), turns(q_.sines, branch, token), d_.head_width);
  }

  void project_queries(const Layer& w, const bf16* left, int64_t asks, bool last) {
    const int64_t E = d_.head_width, rows = padded(tokens_ * group_);
    for (int64_t head = 0; head < d_.heads; ++head) {
      bf16* to = queries_.get() + head / group_ * rows * E;
      const float* bias = w.query_bias ? w.query_bias + head * E : nullptr;
      product(left, row_, count_ * asks, w.query + head * E * d_.width, steps_, E, sums_.get());
      for (int64_t row = 0; row < count_ * asks; ++row) {
        const int64_t branch = row / asks, n = row % asks;
        float* x = sums_.get() + row * E;
        finish_head(x, bias, w.query_norm, branch, asked(branch, n, last));
        bf16* out = to + ((branch * group_ + head % group_) * asks + n) * E;
        for (int64_t i = 0; i < E; i += 16) store_narrow(out + i, _mm512_loadu_ps(x + i));
      }
    }
  }

  void project_keys(const Layer& w) {
    const int64_t E = d_.head_width;
    for (int64_t head = 0; head < d_.shared; ++head) {
      bf16* to = keys_.get() + head * padded(tokens_) * E;
      const float* bias = w.key_bias ? w.key_bias + head * E : nullptr;
      product(normed_.get(), row_, tokens_, w.key + head * E * d_.width, steps_, E, sums_.get());
      for (int64_t row = 0; row < tokens_; ++row) {
        float* x = sums_.get() + row * E;
        finish_head(x, bias, w.key_norm, row / q_.length, row % q_.length);
        narrow(x, E);
        put_column(to, row, narrowed_.get(), E, head_steps_);
      }
    }
  }

  void project_values(const Layer& w) {
    const int64_t E = d_.head_width;
    for (int64_t head = 0; head < d_.shared; ++head) {
      bf16* to = values_.get() + head * padded(tokens_) * E;
      const float* bias = w.value_bias ? w.value_bias + head * E : nullptr;
      product(normed_.get(), row_, tokens_, w.value + head * E * d_.width, steps_, E, sums_.get());
      for (int64_t row = 0; row < tokens_; ++row) {
        add_bias(sums_.get() + row * E, bias, E);
        narrow(sums_.get() + row * E, E, row % 2);
        if (row % 2 || row + 1 == tokens_) put_pair(to, row / 2 * 2, narrowed_.get(), narrowed_.get() + E, E, key_steps_);
      }
    }
  }

  void narrow(const float* x, int64_t width, int64_t row = 0) {
    for (int64_t i = 0; i < width; i += 16) store_narrow(narrowed_.get() + row * width + i, _mm512_loadu_ps(x + i));
  }

  void add_product(const bf16* left, int64_t left_row, int64_t rows, const bf16* right, int64_t inputs,
                   const float* bias) {
    for (int64_t column = 0; column < d_.width; column += kBlock) {
      product(left, left_row, rows, right + column * inputs, inputs / 32, kBlock, sums_.get());
      for (int64_t row = 0; row < rows; ++row) {
        float* x = sums_.get() + row * kBlock;
        add_bias(x, bias ? bias + column : nullptr, kBlock);
        add_bias(states_.get() + row * d_.width + column, x, kBlock);
      }
    }
  }

  void feed(const Layer& w, int64_t rows) {
    const __m512 one = _mm512_set1_ps(1.0f), minus = _mm512_set1_ps(-kLog2E);
    float *gates = sums_.get(), *ups = gates + padded(rows) * kBlock;
    for (int64_t column = 0; column < d_.feed; column += kBlock) {
      product(normed_.get(), row_, rows, w.gate + column * d_.width, steps_, kBlock, gates);
      product(normed_.get(), row_, rows, w.up + column * d_.width, steps_, kBlock, ups);
      for (int64_t row = 0; row < rows; ++row) {
        float *gate = gates + row * kBlock, *up = ups + row * kBlock;
        add_bias(gate, w.gate_bias ? w.gate_bias + column : nullptr, kBlock);
        add_bias(up, w.up_bias ? w.up_bias + column : nullptr, kBlock);
        for (int64_t i = 0; i < kBlock; i += 16) {
          const __m512 x = _mm512_loadu_ps(gate + i);
          const __m512 silu = _mm512_div_ps(x, _mm512_add_ps(one, exp2_of(_mm512_mul_ps(x, minus))));
          store_narrow(feed_.get() + row * feed_row_ + column + i, _mm512_mul_ps(silu, _mm512_loadu_ps(up + i)));
        }
      }
    }
  }

  // Attend the rows (branch, head of the group, asking token) of one key/value head, 32 at a time.
  void attend(int64_t number, int64_t head, int64_t asks, bool last) {
    const int64_t E = d_.head_width, rows = count_ * group_ * asks;
    const bf16* queries = queries_.get() + head * padded(tokens_ * group_) * E;
    const bf16* trunk_keys = q_.trunk ? q_.keys[number] + head * padded(q_.trunk) * E : nullptr;
    const bf16* trunk_values = q_.trunk ? q_.values[number] + head * padded(q_.trunk) * E : nullptr;
    const bf16* own_keys = keys_.get() + head * padded(tokens_) * E;
    const bf16* own_values = values_.get() + head * padded(tokens_) * E;
    for (int64_t row = 0; row < rows; row += kBlock) {
      begin(std::min(kBlock, rows - row));
      for (int64_t one = 0; one < some_; ++one) from_[one] = 0, until_[one] = q_.trunk;
      see(queries + row * E, trunk_keys, trunk_values, 0, q_.trunk, padded(q_.trunk) / 32);
      for (int64_t one = 0; one < some_; ++one) {
        const int64_t branch = (row + one) / (group_ * asks);
        from_[one] = branch * q_.length;
        until_[one] = from_[one] + asked(branch, (row + one) % asks, last) + 1;
      }
      see(queries + row * E, own_keys, own_values, from_[0] / kBlock * kBlock, until_of_all(), key_steps_);
      for (int64_t one = 0; one < some_; ++one) {
        const int64_t branch = (row + one) / (group_ * asks), place = (row + one) / asks % group_;
        bf16* out = attended_.get() + (branch * asks + (row + one) % asks) * attended_row_ + (head * group_ + place) * E;
        const __m512 factor = _mm512_set1_ps(1.0f / totals_[one]);
        for (int64_t i = 0; i < E; i += 16)
          store_narrow(out + i, _mm512_mul_ps(_mm512_loadu_ps(outputs_.get() + one * E + i), factor));
      }
    }
  }

  void begin(int64_t some) {
    some_ = some;
    std::fill_n(highest_, kBlock, kNone);
    std::fill_n(totals_, kBlock, 0.0f);
    std::fill_n(outputs_.get(), kBlock * d_.head_width, 0.0f);
  }

  int64_t until_of_all() const { return *std::max_element(until_, until_ + some_); }

  // Add the keys `first` (a multiple of 32) to `end` to the softmax; row i sees those in [from_[i], until_[i]).
  void see(const bf16* queries, const bf16* keys, const bf16* values, int64_t first, int64_t end, int64_t steps) {
    const int64_t E = d_.head_width, weights_row = kKeys + 32;
    for (int64_t start = first; start < end; start += kKeys) {
      const int64_t width = padded(std::min(kKeys, end - start));
      for (int64_t key = 0; key < width; key += kBlock)
        multiply_rows<false>(some_, queries, E, keys + (start + key) * E, head_steps_, scores_.get() + key, kKeys);
      for (int64_t one = 0; one < some_; ++one)
        weigh(one, std::max(from_[one] - start, int64_t{0}), std::min(until_[one] - start, width), width,
              scores_.get() + one * kKeys, weights_.get() + one * weights_row);
      for (int64_t column = 0; column < E; column += kBlock)
        multiply_rows<true>(some_, weights_.get(), weights_row,
                            values + (column / 32 * steps + start / 32) * 2 * kTile, width / 32,
                            outputs_.get() + column, E);
    }
  }

  // Turn the scores [from, until) of a row into weights below its running maximum, all others into 0.
  void weigh(int64_t one, int64_t from, int64_t until, int64_t width, const float* scores, bf16* weights) {
    const __m512 none = _mm512_set1_ps(kNone), scale = _mm512_set1_ps(d_.scaling * kLog2E);
    const auto kept = [&](int64_t i) {
      const int64_t low = std::clamp<int64_t>(from - i, 0, 16), high = std::clamp<int64_t>(until - i, 0, 16);
      return static_cast<__mmask16>(((1u << high) - 1) & ~((1u << low) - 1));
    };
    if (until <= from) {
      std::memset(weights, 0, width * sizeof(bf16));
      return;
    }
    const bool whole = from == 0 && until == width;
    __m512 most = none;
    for (int64_t i = 0; i < width; i += 16) {
      const __m512 x = _mm512_loadu_ps(scores + i);
      most = _mm512_max_ps(most, whole ? x : _mm512_mask_mov_ps(none, kept(i), x));
    }
    const float highest = std::max(highest_[one], _mm512_reduce_max_ps(most) * d_.scaling * kLog2E);
    if (highest > highest_[one]) {
      const float factor = std::exp2(highest_[one] - highest);
      highest_[one] = highest;
      totals_[one] *= factor;
      float* outputs = outputs_.get() + one * d_.head_width;
      for (int64_t i = 0; i < d_.head_width; i += 16)
        _mm512_storeu_ps(outputs + i, _mm512_mul_ps(_mm512_loadu_ps(outputs + i), _mm512_set1_ps(factor)));
    }
    const __m512 below = _mm512_set1_ps(highest);
    __m512 total = _mm512_setzero_ps();
    for (int64_t i = 0; i < width; i += 16) {
      __m512 x = exp2_of(_mm512_fmsub_ps(_mm512_loadu_ps(scores + i), scale, below));
      if (!whole) x = _mm512_maskz_mov_ps(kept(i), x);
      total = _mm512_add_ps(total, x);
      store_narrow(weights + i, x);
    }
    totals_[one] += _mm512_reduce_add_ps(total);
  }

  const Decoder& d_;
  const Query& q_;
  const int64_t first_, count_, tokens_, group_, steps_, head_steps_, key_steps_, row_, feed_row_, attended_row_;
  Memory<float> states_, sums_, scores_, outputs_;
  Memory<bf16> normed_, asking_, queries_, keys_, values_, attended_, feed_, weights_, narrowed_;
  int64_t some_ = 0, from_[kBlock] = {}, until_[kBlock] = {};
  float highest_[kBlock], totals_[kBlock];
};

}  // namespace

extern "C" {

// Ask the system for tiles; 0 if it grants them.
int request_tiles() {
  constexpr int kRequest = 0x1023, kTileData = 18;
  return static_cast<int>(syscall(SYS_arch_prctl, kRequest, kTileData));
}

// Pack a matrix of `columns` columns, each in one piece of `numbers` numbers; neighbours are `distance` apart.
void pack_columns(const bf16* from, int64_t columns, int64_t numbers, int64_t distance, bf16* to) {
  for (int64_t n = 0; n < columns; ++n) put_column(to, n, from + n * distance, numbers, padded(numbers) / 32);
}

// Pack the matrix whose rows lie in one piece each: number k of all columns at `from` + k * `distance`.
void pack_rows(const bf16* from, int64_t columns, int64_t numbers, int64_t distance, bf16* to) {
  const auto none = zeros<bf16>(columns);
  for (int64_t k = 0; k < numbers; k += 2) {
    const bf16* even = from + k * distance;
    put_pair(to, k, even, k + 1 < numbers ? even + distance : none.get(), columns, padded(numbers) / 32);
  }
}

// Compute the last hidden states that `count` branches from `first` on are asked for. Widths are multiples of 32.
void read_branches(const Decoder* decoder, const Query* query, int64_t first, int64_t count) {
  configure_tiles();
  Reader(*decoder, *query, first, count).run();
  _tile_release();
}

}  // extern "C"
