// Branches behind a trunk, through all layers of a decoder of the Llama shape, in bfloat16 on AMX tiles.
//
// What it is: `read_branches`, and `pack_columns`, which lays weights out for tiles. What it decides: a thread keeps its
// share of the branches to itself from the first layer to the last, so states stay in its cache and no thread waits for
// another. What is too little to share, as an event, is taken through the layers by a team: all threads, who meet five
// times in a layer and pack no more of the trunk than the layer needs. States between layers are float32, what enters a
// product is bfloat16, every sum is float32. Attention to trunk and own tokens is one softmax with a running maximum;
// weights after the exponential are bfloat16. Nothing here knows a family: norms of queries and keys and biases may be
// missing.
//
// Letters: L tokens of a branch, N tokens of each that ask, D width, H heads, K key/value heads, E width of a head,
// P trunk tokens.

#include <omp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "softmax.h"

namespace {

constexpr int64_t kSteps = 16;  // of a panel that meets all rows: 32 kilobytes

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

// Add a row to another, if there is one.
void add(float* row, const float* other, int64_t width) {
  if (other)
    for (int64_t i = 0; i < width; i += 16)
      _mm512_storeu_ps(row + i, _mm512_add_ps(_mm512_loadu_ps(row + i), _mm512_loadu_ps(other + i)));
}

// Return numbers from a place on, if there are any.
const float* from(const float* numbers, int64_t place) { return numbers ? numbers + place : nullptr; }

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

// Share i of the branches ends at `ends[i]`. `keys` and `values` of each layer are the trunk's, K x P x E, whose heads and
// tokens lie `*_steps` apart; `packed_*` is room for them as tiles want them, layers x K x P (to the next 32) x E. Where
// `grows` is not 0, the one branch is an event: its keys and values are written behind the trunk's, no states are wanted,
// and the room is that of one layer.
struct Query {
  int64_t threads, shares, length, asks, trunk, turned, grows;
  const float *embedded, *cosines, *sines;
  const int64_t *places, *ends;
  bf16 *const *keys, *const *values;
  int64_t key_steps[2], value_steps[2];
  bf16 *packed_keys, *packed_values;
  float* out;
};

}  // extern "C"

namespace {

// Where the packed keys or values of a head of the trunk begin.
int64_t packed_place(const Decoder& decoder, const Query& query, int64_t layer, int64_t head) {
  return ((query.grows ? 0 : layer) * decoder.shared + head) * padded(query.trunk) * decoder.head_width;
}

void pack_keys(const Decoder& decoder, const Query& query, int64_t layer, int64_t head) {
  put_columns(query.packed_keys + packed_place(decoder, query, layer, head),
              query.keys[layer] + head * query.key_steps[0], query.trunk, decoder.head_width, query.key_steps[1]);
}

// What is missing of the last step is zero.
void pack_values(const Decoder& decoder, const Query& query, int64_t layer, int64_t head) {
  const int64_t E = decoder.head_width, room = padded(query.trunk);
  bf16* to = query.packed_values + packed_place(decoder, query, layer, head);
  const auto none = zeros<bf16>(E);
  const auto value = [&](int64_t token) {
    return token < query.trunk ? query.values[layer] + head * query.value_steps[0] + token * query.value_steps[1]
                               : none.get();
  };
  for (int64_t token = 0; token < room; token += 2)
    put_pair(to, token, value(token), value(token + 1), E, room / 32);
}

// What a thread needs for itself.
struct Scratch {
  Scratch(int64_t thread, int64_t rows, int64_t row, const Decoder& decoder)
      : number(thread), normed(zeros<bf16>(rows * row)),
        sums(zeros<float>(rows * std::max<int64_t>(decoder.head_width, 2 * kBlock))),
        narrowed(zeros<bf16>(2 * decoder.head_width)), softmax(decoder.head_width, decoder.scaling) {}

  void narrow(const float* x, int64_t width, int64_t row = 0) {
    for (int64_t i = 0; i < width; i += 16) store_narrow(narrowed.get() + row * width + i, _mm512_loadu_ps(x + i));
  }

  int64_t number;
  Memory<bf16> normed;
  Memory<float> sums;
  Memory<bf16> narrowed;
  RunningSoftmax softmax;
  int64_t from[kBlock] = {}, until[kBlock] = {};
};

// Some branches on their way through the layers, by one thread, or by a team where they are all there is.
class Reader {
 public:
  Reader(const Decoder& decoder, const Query& query, int64_t first, int64_t count, int64_t threads)
      : d_(decoder), q_(query), first_(first), count_(count), tokens_(count * query.length),
        group_(decoder.heads / decoder.shared), steps_(decoder.width / 32), head_steps_(decoder.head_width / 32),
        key_steps_(padded(tokens_) / 32), row_(decoder.width + 32), feed_row_(decoder.feed + 32),
        attended_row_(decoder.heads * decoder.head_width + 32) {
    const int64_t most = padded(tokens_), E = d_.head_width;
    states_ = zeros<float>(most * d_.width);
    asking_ = zeros<bf16>(most * row_);
    queries_ = zeros<bf16>(padded(tokens_ * group_) * d_.shared * E);
    keys_ = zeros<bf16>(d_.shared * most * E);
    values_ = zeros<bf16>(d_.shared * most * E);
    attended_ = zeros<bf16>(most * attended_row_);
    feed_ = zeros<bf16>(most * feed_row_);
    for (int64_t thread = 0; thread < threads; ++thread) scratch_.emplace_back(thread, most, row_, decoder);
    std::memcpy(states_.get(), q_.embedded + first * q_.length * d_.width, tokens_ * d_.width * sizeof(float));
  }

  // To be called by every thread of the team.
  void run(int64_t thread = 0) {
    Scratch& s = scratch_[thread];
    for (int64_t number = 0; number < d_.layers; ++number) layer(number, number + 1 == d_.layers, s);
    if (q_.grows) return;
    each(count_ * q_.asks, s, [&](int64_t row) {
      float* out = q_.out + (first_ * q_.asks + row) * d_.width;
      normalise(states_.get() + row * d_.width, d_.norm, d_.width, d_.epsilon,
                [&](int64_t i, __m512 x) { _mm512_storeu_ps(out + i, x); });
    });
  }

 private:
  // Do this thread's part of pieces that touch nothing of each other, and wait for the others' parts.
  template <typename Work>
  void each(int64_t count, const Scratch& s, Work work) {
    const int64_t threads = scratch_.size();
    for (int64_t one = s.number; one < count; one += threads) work(one);
    if (threads > 1) {
#pragma omp barrier
    }
  }

  // Token of a branch that asks as its n-th.
  int64_t asked(int64_t branch, int64_t n, bool last) const {
    return last ? q_.places[(first_ + branch) * q_.asks + n] : n;
  }

  const float* turns(const float* table, int64_t branch, int64_t token) const {
    const int64_t row = q_.turned == 1 ? 0 : first_ + branch;
    return table + (row * q_.length + token) * d_.head_width;
  }

  void layer(int64_t number, bool last, Scratch& s) {
    const Layer& w = d_.layer[number];
    const int64_t asks = last ? q_.asks : q_.length, shared = d_.shared;
    normalise_rows(w.before_attention, tokens_, s);
    if (last && !q_.grows) {
      each(0, s, [](int64_t) {});  // others may still read the states of which few are kept
      each(1, s, [&](int64_t) { keep_asked(s); });
    }
    const bf16* asking = last ? asking_.get() : s.normed.get();
    const bool ends = last && q_.grows;
    const int64_t packs = q_.grows && !ends ? shared : 0, heads = ends ? 0 : d_.heads;
    each(2 * (shared + packs) + heads, s, [&](int64_t one) {
      if (one < packs) return pack_keys(d_, q_, number, one);
      if ((one -= packs) < packs) return pack_values(d_, q_, number, one);
      if ((one -= packs) < shared) return project_keys(w, number, one, s);
      if ((one -= shared) < shared) return project_values(w, number, one, s);
      project_queries(w, one - shared, asking, asks, last, s);
    });
    if (ends) return;
    const int64_t blocks = padded(count_ * group_ * asks) / kBlock;
    if (scratch_.size() > 1)  // a thread meets the heads that it packed, which its cache still holds
      each(shared * blocks, s, [&](int64_t one) { attend(number, one % shared, one / shared, asks, last, s); });
    else
      each(shared * blocks, s, [&](int64_t one) { attend(number, one / blocks, one % blocks, asks, last, s); });
    add_product(attended_.get(), attended_row_, count_ * asks, w.out, d_.heads * d_.head_width, w.out_bias, s);
    normalise_rows(w.before_feed, count_ * asks, s);
    feed(w, count_ * asks, s);
    add_product(feed_.get(), feed_row_, count_ * asks, w.down, d_.feed, w.down_bias, s);
  }

  // Every thread needs all rows, and has them for itself sooner than from another.
  void normalise_rows(const float* weight, int64_t rows, Scratch& s) {
    for (int64_t row = 0; row < rows; ++row)
      normalise(states_.get() + row * d_.width, weight, d_.width, d_.epsilon,
                [&](int64_t i, __m512 x) { store_narrow(s.normed.get() + row * row_ + i, x); });
  }

  // Keep the rows of the tokens that ask.
  void keep_asked(const Scratch& s) {
    const auto kept = zeros<float>(count_ * q_.asks * d_.width);
    for (int64_t branch = 0; branch < count_; ++branch)
      for (int64_t n = 0; n < q_.asks; ++n) {
        const int64_t row = branch * q_.length + asked(branch, n, true), to = branch * q_.asks + n;
        std::copy_n(s.normed.get() + row * row_, d_.width, asking_.get() + to * row_);
        std::copy_n(states_.get() + row * d_.width, d_.width, kept.get() + to * d_.width);
      }
    std::copy_n(kept.get(), count_ * q_.asks * d_.width, states_.get());
  }

  void finish_head(float* head, const float* bias, const float* norm, int64_t branch, int64_t token) {
    add(head, bias, d_.head_width);
    if (norm)
      normalise(head, norm, d_.head_width, d_.epsilon, [&](int64_t i, __m512 x) { _mm512_storeu_ps(head + i, x); });
    turn(head, turns(q_.cosines, branch, token), turns(q_.sines, branch, token), d_.head_width);
  }

  void project_queries(const Layer& w, int64_t head, const bf16* left, int64_t asks, bool last, Scratch& s) {
    const int64_t E = d_.head_width;
    bf16* to = queries_.get() + head / group_ * padded(tokens_ * group_) * E;
    product(left, row_, count_ * asks, w.query + head * E * d_.width, steps_, E, s.sums.get());
    for (int64_t row = 0; row < count_ * asks; ++row) {
      const int64_t branch = row / asks, n = row % asks;
      float* x = s.sums.get() + row * E;
      finish_head(x, from(w.query_bias, head * E), w.query_norm, branch, asked(branch, n, last));
      bf16* out = to + ((branch * group_ + head % group_) * asks + n) * E;
      for (int64_t i = 0; i < E; i += 16) store_narrow(out + i, _mm512_loadu_ps(x + i));
    }
  }

  void project_keys(const Layer& w, int64_t number, int64_t head, Scratch& s) {
    const int64_t E = d_.head_width;
    bf16* to = keys_.get() + head * padded(tokens_) * E;
    product(s.normed.get(), row_, tokens_, w.key + head * E * d_.width, steps_, E, s.sums.get());
    for (int64_t row = 0; row < tokens_; ++row) {
      float* x = s.sums.get() + row * E;
      finish_head(x, from(w.key_bias, head * E), w.key_norm, row / q_.length, row % q_.length);
      s.narrow(x, E);
      put_column(to, row, s.narrowed.get(), E, head_steps_);
      if (q_.grows) tell(q_.keys[number], q_.key_steps, head, row, s.narrowed.get());
    }
  }

  void project_values(const Layer& w, int64_t number, int64_t head, Scratch& s) {
    const int64_t E = d_.head_width;
    bf16 *to = values_.get() + head * padded(tokens_) * E, *even = s.narrowed.get(), *odd = even + E;
    product(s.normed.get(), row_, tokens_, w.value + head * E * d_.width, steps_, E, s.sums.get());
    for (int64_t row = 0; row < tokens_; ++row) {
      float* x = s.sums.get() + row * E;
      add(x, from(w.value_bias, head * E), E);
      s.narrow(x, E, row % 2);
      if (q_.grows) tell(q_.values[number], q_.value_steps, head, row, row % 2 ? odd : even);
      if (row % 2 || row + 1 == tokens_) put_pair(to, row / 2 * 2, even, odd, E, key_steps_);
    }
  }

  // Write the key or value of an event's token behind those of the trunk.
  void tell(bf16* to, const int64_t* steps, int64_t head, int64_t token, const bf16* numbers) {
    std::copy_n(numbers, d_.head_width, to + head * steps[0] + (q_.trunk + token) * steps[1]);
  }

  void add_product(const bf16* left, int64_t left_row, int64_t rows, const bf16* right, int64_t inputs,
                   const float* bias, Scratch& s) {
    each(d_.width / kBlock, s, [&](int64_t block) {
      const int64_t column = block * kBlock;
      product(left, left_row, rows, right + column * inputs, inputs / 32, kBlock, s.sums.get());
      for (int64_t row = 0; row < rows; ++row) {
        float* x = s.sums.get() + row * kBlock;
        add(x, from(bias, column), kBlock);
        add(states_.get() + row * d_.width + column, x, kBlock);
      }
    });
  }

  void feed(const Layer& w, int64_t rows, Scratch& s) {
    const __m512 one = _mm512_set1_ps(1.0f), minus = _mm512_set1_ps(-kLog2E);
    float *gates = s.sums.get(), *ups = gates + padded(rows) * kBlock;
    each(d_.feed / kBlock, s, [&](int64_t block) {
      const int64_t column = block * kBlock;
      product(s.normed.get(), row_, rows, w.gate + column * d_.width, steps_, kBlock, gates);
      product(s.normed.get(), row_, rows, w.up + column * d_.width, steps_, kBlock, ups);
      for (int64_t row = 0; row < rows; ++row) {
        float *gate = gates + row * kBlock, *up = ups + row * kBlock;
        add(gate, from(w.gate_bias, column), kBlock);
        add(up, from(w.up_bias, column), kBlock);
        for (int64_t i = 0; i < kBlock; i += 16) {
          const __m512 x = _mm512_loadu_ps(gate + i);
          const __m512 silu = _mm512_div_ps(x, _mm512_add_ps(one, exp2_of(_mm512_mul_ps(x, minus))));
          store_narrow(feed_.get() + row * feed_row_ + column + i, _mm512_mul_ps(silu, _mm512_loadu_ps(up + i)));
        }
      }
    });
  }

  // Attend 32 of the rows (branch, head of the group, asking token) of one key/value head.
  void attend(int64_t number, int64_t head, int64_t block, int64_t asks, bool last, Scratch& s) {
    const int64_t E = d_.head_width, trunk = padded(q_.trunk), own = padded(tokens_), row = block * kBlock;
    const int64_t some = std::min(kBlock, count_ * group_ * asks - row);
    const bf16* queries = queries_.get() + (head * padded(tokens_ * group_) + row) * E;
    s.softmax.begin(some);
    for (int64_t one = 0; one < some; ++one) s.from[one] = 0, s.until[one] = q_.trunk;
    const int64_t at = packed_place(d_, q_, number, head);
    if (trunk) see(queries, q_.packed_keys + at, q_.packed_values + at, some, trunk / 32, s);
    for (int64_t one = 0; one < some; ++one) {
      const int64_t branch = (row + one) / (group_ * asks);
      s.from[one] = branch * q_.length;
      s.until[one] = s.from[one] + asked(branch, (row + one) % asks, last) + 1;
    }
    see(queries, keys_.get() + head * own * E, values_.get() + head * own * E, some, own / 32, s);
    for (int64_t one = 0; one < some; ++one) {
      const int64_t branch = (row + one) / (group_ * asks), place = (row + one) / asks % group_;
      const int64_t token = branch * asks + (row + one) % asks;
      s.softmax.finish(one, attended_.get() + token * attended_row_ + (head * group_ + place) * E);
    }
  }

  // Let row i see the keys in [from[i], until[i]); both ascend with i as far as branches go.
  void see(const bf16* queries, const bf16* keys, const bf16* values, int64_t rows, int64_t steps, Scratch& s) {
    const int64_t E = d_.head_width, last = (*std::max_element(s.until, s.until + rows) + kBlock - 1) / kBlock;
    for (int64_t first = s.from[0] / kBlock; first < last; first += kBlocks) {
      const int64_t blocks = std::min(kBlocks, last - first);
      Words words;
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t block = 0; block < blocks; ++block) {
          const int64_t start = (first + block) * kBlock;
          const int64_t low = std::clamp<int64_t>(s.from[row] - start, 0, kBlock);
          const int64_t high = std::clamp<int64_t>(s.until[row] - start, low, kBlock);
          words[row][block] = static_cast<uint32_t>((uint64_t{1} << high) - (uint64_t{1} << low));
        }
      s.softmax.see(queries, E, keys + first * kBlock * E, values + first * 2 * kTile, steps, blocks, words);
    }
  }

  const Decoder& d_;
  const Query& q_;
  const int64_t first_, count_, tokens_, group_, steps_, head_steps_, key_steps_, row_, feed_row_, attended_row_;
  std::vector<Scratch> scratch_;
  Memory<float> states_;
  Memory<bf16> asking_, queries_, keys_, values_, attended_, feed_;
};

}  // namespace

extern "C" {

// Ask the system for tiles; 0 if it grants them.
int request_tiles() {
  constexpr int kRequest = 0x1023, kTileData = 18;
  return static_cast<int>(syscall(SYS_arch_prctl, kRequest, kTileData));
}

// Ask for huge pages in memory that is not used yet, and return the first place in it that begins one. What is read once
// and then not for a while, as weights for an event, takes longer to look up in small pages than to read.
void* prefer_huge_pages(void* memory, int64_t bytes) {
  constexpr uintptr_t kHuge = 2 << 20;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(memory), first = (begin + kHuge - 1) / kHuge * kHuge;
  madvise(reinterpret_cast<void*>(first), (begin + bytes - first) / kHuge * kHuge, MADV_HUGEPAGE);  // may be refused
  return reinterpret_cast<void*>(first);
}

// Pack a matrix of `columns` columns, each in one piece of `numbers` numbers; neighbours are `distance` apart.
void pack_columns(const bf16* from, int64_t columns, int64_t numbers, int64_t distance, bf16* to) {
  put_columns(to, from, columns, numbers, distance);
}

// Compute the last hidden states that branches are asked for, or let a trunk grow. All widths are multiples of 32.
void read_branches(const Decoder* decoder, const Query* query) {
  const int64_t heads = query->trunk && !query->grows ? decoder->layers * decoder->shared : 0;
  std::unique_ptr<Reader> together;
#pragma omp parallel num_threads(query->threads)
  {
    const TileScope scope;
#pragma omp for
    for (int64_t one = 0; one < heads; ++one) {
      pack_keys(*decoder, *query, one / decoder->shared, one % decoder->shared);
      pack_values(*decoder, *query, one / decoder->shared, one % decoder->shared);
    }
    if (query->shares > 1) {
#pragma omp for schedule(dynamic, 1)
      for (int64_t one = 0; one < query->shares; ++one) {
        const int64_t first = one ? query->ends[one - 1] : 0;
        Reader(*decoder, *query, first, query->ends[one] - first, 1).run();
      }
    } else {
#pragma omp master  // the thread that will free it: what it frees it uses again
      together = std::make_unique<Reader>(*decoder, *query, 0, query->ends[0], omp_get_num_threads());
#pragma omp barrier
      together->run(omp_get_thread_num());
    }
  }
}

}  // extern "C"
