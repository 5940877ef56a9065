// Attention of packed trees and its derivative, in bfloat16 on AMX tiles: blocks of 32 queries and 32 keys of which no
// pair sees each other are not computed, whatever the relation is.
//
// What it is: `attend_trees` and `derive_trees`. What it decides: a thread takes one key/value head of one row at a time; weights are computed again in the backward pass, from the log-sum-exp of each query; what enters a product
// is bfloat16, every sum is float32. Scores of the backward pass stand as keys x queries, so that they are the left
// matrix of the derivatives of keys and values as they are, and the right one of those of queries.
//
// Source: Dao, FlashAttention-2 (2023), section 3.1; the blocks that are left out, and their relation, are ours.
//
//   P = exp(s Q K' - lse)   dP = dO V'   dS = s P (dP - delta)   dV = P' dO   dK = dS' Q   dQ = dS K,  delta = sum dO O
//
// Letters: B rows of a batch, T tokens, H heads, K key/value heads, G = H / K, E width of a head.

#include "softmax.h"

extern "C" {

// Numbers of one head lie in one piece; `*_steps` are the distances of neighbouring rows, heads and tokens. `seen` has a
// word for every query and 32 keys, `asking` one for every key and 32 queries. Derivatives and `out` are B x T x heads x E.
struct Trees {
  int64_t threads, rows, tokens, heads, shared, width;
  float scaling;
  const bf16 *query, *key, *value, *grad;
  int64_t query_steps[3], key_steps[3], value_steps[3], grad_steps[3];
  const uint32_t *seen, *asking;
  bf16 *out, *query_grad, *key_grad, *value_grad;
  float* log_totals;  // B x H x T
};

}  // extern "C"

namespace {

constexpr int64_t kQueries = 2 * kBlock;  // whose derivatives are computed together

struct Rows {  // numbers of one head, token by token
  const bf16* first;
  int64_t step;
  const bf16* operator[](int64_t token) const { return first + token * step; }
};

Rows head_of(const bf16* from, const int64_t* steps, int64_t row, int64_t head) {
  return {from + row * steps[0] + head * steps[1], steps[2]};
}

// One key/value head of one row.
class Head {
 public:
  Head(const Trees& trees, int64_t row, int64_t shared)
      : t_(trees), row_(row), shared_(shared), group_(trees.heads / trees.shared), E_(trees.width),
        room_((trees.tokens + kQueries - 1) / kQueries * kQueries), steps_(room_ / 32), words_(padded(trees.tokens) / 32),
        keys_(head_of(trees.key, trees.key_steps, row, shared)),
        values_(head_of(trees.value, trees.value_steps, row, shared)), seen_(trees.seen + row * trees.tokens * words_),
        asking_(trees.asking + row * trees.tokens * words_) {}

  void attend() {
    const auto keys = columns(keys_), values = rows(values_);
    RunningSoftmax softmax(E_, t_.scaling);
    Words words;
    for (int64_t member = 0; member < group_; ++member) {
      const int64_t head = shared_ * group_ + member;
      const auto queries = copy(head_of(t_.query, t_.query_steps, row_, head));
      float* totals = t_.log_totals + (row_ * t_.heads + head) * t_.tokens;
      for (int64_t block = 0; block < words_; ++block) {
        const int64_t some = std::min(kBlock, t_.tokens - block * kBlock);
        softmax.begin(some);
        for (int64_t first = next(seen_, block, 0); first < words_;) {
          const int64_t end = last(seen_, block, first);
          for (int64_t one = 0; one < some; ++one)
            std::copy_n(seen_ + (block * kBlock + one) * words_ + first, end - first, words[one]);
          softmax.see(queries.get() + block * kBlock * E_, E_, keys.get() + first * kBlock * E_,
                      values.get() + first * 2 * kTile, steps_, end - first, words);
          first = next(seen_, block, end);
        }
        for (int64_t one = 0; one < some; ++one) {
          const int64_t token = block * kBlock + one;
          softmax.finish(one, t_.out + ((row_ * t_.tokens + token) * t_.heads + head) * E_);
          totals[token] = softmax.log2_total(one);
        }
      }
    }
  }

  void derive() {
    const auto keys = copy(keys_), values = copy(values_);
    const auto turned = zeros<bf16>(E_ * room_);  // keys, number by number
    for (int64_t token = 0; token < t_.tokens; ++token)
      for (int64_t i = 0; i < E_; ++i) turned[i * room_ + token] = keys[token * E_ + i];
    const auto key_sums = zeros<float>(room_ * E_), value_sums = zeros<float>(room_ * E_);
    for (int64_t member = 0; member < group_; ++member) {
      const int64_t head = shared_ * group_ + member;
      const Rows queries = head_of(t_.query, t_.query_steps, row_, head);
      const Rows grads = head_of(t_.grad, t_.grad_steps, row_, head);
      const auto query_columns = columns(queries), query_rows = rows(queries);
      const auto grad_columns = columns(grads), grad_rows = rows(grads);
      const auto query_sums = zeros<float>(E_ * room_);
      const auto totals = zeros<float>(room_), deltas = zeros<float>(room_);
      read_queries(head, grads, totals.get(), deltas.get());
      for (int64_t key = 0; key < words_; ++key)
        for (int64_t query = next(asking_, key, 0) / 2 * 2; query < words_; query = next(asking_, key, query + 2) / 2 * 2) {
          const int64_t place = query * kBlock, some = std::min(kBlock, t_.tokens - key * kBlock);
          for (int64_t half = 0; half < kQueries; half += kBlock) {
            const int64_t panel = (place + half) * E_, steps = E_ / 32;
            multiply_rows<false>(some, keys.get() + key * kBlock * E_, E_, query_columns.get() + panel, steps,
                                 scores_.get() + half, kQueries);
            multiply_rows<false>(some, values.get() + key * kBlock * E_, E_, grad_columns.get() + panel, steps,
                                 moved_.get() + half, kQueries);
          }
          weigh(key, query, some, totals.get() + place, deltas.get() + place);
          for (int64_t column = 0; column < E_; column += kBlock) {
            const int64_t step = (column / 32 * steps_ + query) * 2 * kTile, at = key * kBlock * E_ + column;
            multiply_rows<true>(some, weights_.get(), kQueries, grad_rows.get() + step, 2, value_sums.get() + at, E_);
            multiply_rows<true>(some, slopes_.get(), kQueries, query_rows.get() + step, 2, key_sums.get() + at, E_);
            for (int64_t half = 0; half < kQueries; half += kBlock)
              multiply_rows<true>(kBlock, turned.get() + column * room_ + key * kBlock, room_,
                                  paired_.get() + half * kBlock, 1, query_sums.get() + column * room_ + place + half,
                                  room_);
          }
        }
      bf16* out = t_.query_grad + (row_ * t_.tokens * t_.heads + head) * E_;
      for (int64_t token = 0; token < t_.tokens; ++token) {
        float* one = line_.get();
        for (int64_t i = 0; i < E_; ++i) one[i] = query_sums[i * room_ + token];
        store(one, out + token * t_.heads * E_);
      }
    }
    for (int64_t token = 0; token < t_.tokens; ++token) {
      const int64_t at = ((row_ * t_.tokens + token) * t_.shared + shared_) * E_;
      store(key_sums.get() + token * E_, t_.key_grad + at);
      store(value_sums.get() + token * E_, t_.value_grad + at);
    }
  }

 private:
  // First block from `from` on that has a pair with block `block`.
  int64_t next(const uint32_t* words, int64_t block, int64_t from) const {
    const int64_t some = std::min(kBlock, t_.tokens - block * kBlock);
    for (; from < words_; ++from)
      for (int64_t one = 0; one < some; ++one)
        if (words[(block * kBlock + one) * words_ + from]) return from;
    return steps_;
  }

  // End of the run of such blocks that begins at `first`, kBlocks of them at most.
  int64_t last(const uint32_t* words, int64_t block, int64_t first) const {
    int64_t end = first + 1;
    while (end < std::min(words_, first + kBlocks) && next(words, block, end) == end) ++end;
    return end;
  }

  Memory<bf16> copy(const Rows& from) const {
    auto to = zeros<bf16>(room_ * E_);
    for (int64_t token = 0; token < t_.tokens; ++token) std::copy_n(from[token], E_, to.get() + token * E_);
    return to;
  }

  Memory<bf16> columns(const Rows& from) const {
    auto to = zeros<bf16>(room_ * E_);
    put_columns(to.get(), from.first, t_.tokens, E_, from.step);
    return to;
  }

  Memory<bf16> rows(const Rows& from) const {
    auto to = zeros<bf16>(room_ * E_);
    const auto none = zeros<bf16>(E_);
    for (int64_t token = 0; token < t_.tokens; token += 2)
      put_pair(to.get(), token, from[token], token + 1 < t_.tokens ? from[token + 1] : none.get(), E_, steps_);
    return to;
  }

  // Read the log-sum-exp of each query, and how its gradient lies along its output.
  void read_queries(int64_t head, const Rows& grads, float* totals, float* deltas) const {
    for (int64_t token = 0; token < t_.tokens; ++token) {
      const bf16* out = t_.out + ((row_ * t_.tokens + token) * t_.heads + head) * E_;
      __m512 sum = _mm512_setzero_ps();
      for (int64_t i = 0; i < E_; i += 16) sum = _mm512_fmadd_ps(load_narrow(grads[token] + i), load_narrow(out + i), sum);
      deltas[token] = _mm512_reduce_add_ps(sum);
      totals[token] = t_.log_totals[(row_ * t_.heads + head) * t_.tokens + token];
    }
  }

  // From scores and moved values (keys x queries), make weights and slopes, the latter in pairs of keys too.
  void weigh(int64_t key, int64_t query, int64_t some, const float* totals, const float* deltas) {
    const __m512 scale = _mm512_set1_ps(t_.scaling * kLog2E), factor = _mm512_set1_ps(t_.scaling);
    for (int64_t one = 0; one < some; ++one) {
      const uint32_t* words = asking_ + (key * kBlock + one) * words_ + query;
      const uint64_t bits = words[0] | (query + 1 < words_ ? uint64_t{words[1]} << 32 : 0);
      for (int64_t i = 0; i < kQueries; i += 16) {
        const auto kept = static_cast<__mmask16>(bits >> i);
        const int64_t at = one * kQueries + i;
        const __m512 score = _mm512_fmsub_ps(_mm512_loadu_ps(scores_.get() + at), scale, _mm512_loadu_ps(totals + i));
        const __m512 weight = _mm512_maskz_mov_ps(kept, exp2_of(score));
        const __m512 moved = _mm512_sub_ps(_mm512_loadu_ps(moved_.get() + at), _mm512_loadu_ps(deltas + i));
        store_narrow(weights_.get() + at, weight);
        store_narrow(slopes_.get() + at, _mm512_maskz_mul_ps(kept, _mm512_mul_ps(weight, factor), moved));
      }
    }
    std::fill(slopes_.get() + some * kQueries, slopes_.get() + kBlock * kQueries, 0);
    for (int64_t one = 0; one < kBlock; one += 2)
      put_pair(paired_.get(), one, slopes_.get() + one * kQueries, slopes_.get() + (one + 1) * kQueries, kQueries, 1);
  }

  void store(const float* from, bf16* to) const {
    for (int64_t i = 0; i < E_; i += 16) store_narrow(to + i, _mm512_loadu_ps(from + i));
  }

  const Trees& t_;
  const int64_t row_, shared_, group_, E_, room_, steps_, words_;
  const Rows keys_, values_;
  const uint32_t *seen_, *asking_;
  Memory<float> scores_ = zeros<float>(kBlock * kQueries), moved_ = zeros<float>(kBlock * kQueries),
                line_ = zeros<float>(E_);
  Memory<bf16> weights_ = zeros<bf16>(kBlock * kQueries), slopes_ = zeros<bf16>(kBlock * kQueries),
               paired_ = zeros<bf16>(kBlock * kQueries);
};

template <typename Work>
void each_head(const Trees& trees, Work work) {
#pragma omp parallel num_threads(trees.threads)
  {
    const TileScope scope;
#pragma omp for schedule(dynamic, 1)
    for (int64_t one = 0; one < trees.rows * trees.shared; ++one)
      work(Head(trees, one / trees.shared, one % trees.shared));
  }
}

}  // namespace

extern "C" {

// Attend all rows of a batch.
void attend_trees(const Trees* trees) {
  each_head(*trees, [](Head head) { head.attend(); });
}

// Compute the derivatives of queries, keys and values.
void derive_trees(const Trees* trees) {
  each_head(*trees, [](Head head) { head.derive(); });
}

}  // extern "C"
