// Attention of up to 32 query rows to keys that come some at a time: one exact softmax with a running maximum
// (Milakov and Gimelshein, 2018).

#pragma once

#include "tiles.h"

namespace {

constexpr int64_t kBlocks = 8;  // blocks of 32 keys whose scores are held at once
constexpr int64_t kKeys = kBlocks * kBlock;

using Words = uint32_t[kBlock][kBlocks];  // bit j of word b of row i: whether query i sees key 32 b + j

class RunningSoftmax {
 public:
  RunningSoftmax(int64_t head_width, float scaling)
      : width_(head_width), scale_(scaling * kLog2E), scores_(zeros<float>(kBlock * kKeys)),
        outputs_(zeros<float>(kBlock * head_width)), weights_(zeros<bf16>(kBlock * kWeightsRow)) {}

  void begin(int64_t rows) {
    rows_ = rows;
    std::fill_n(highest_, kBlock, kNone);
    std::fill_n(totals_, kBlock, 0.0f);
    std::fill_n(outputs_.get(), kBlock * width_, 0.0f);
  }

  // Attend to `blocks` blocks of packed keys and values, of whose steps `values` is the first.
  void see(const bf16* queries, int64_t queries_row, const bf16* keys, const bf16* values, int64_t values_steps,
           int64_t blocks, const Words& words) {
    const int64_t steps = width_ / 32;
    for (int64_t block = 0; block < blocks; ++block)
      multiply_rows<false>(rows_, queries, queries_row, keys + block * kBlock * width_, steps,
                           scores_.get() + block * kBlock, kKeys);
    for (int64_t row = 0; row < rows_; ++row) weigh(row, blocks, words[row]);
    for (int64_t column = 0; column < width_; column += kBlock)
      multiply_rows<true>(rows_, weights_.get(), kWeightsRow, values + column / 32 * values_steps * 2 * kTile, blocks,
                          outputs_.get() + column, width_);
  }

  // Write what a row attended to; zeros if it saw no key.
  void finish(int64_t row, bf16* out) const {
    const __m512 factor = _mm512_set1_ps(totals_[row] > 0 ? 1.0f / totals_[row] : 0.0f);
    for (int64_t i = 0; i < width_; i += 16)
      store_narrow(out + i, _mm512_mul_ps(_mm512_loadu_ps(outputs_.get() + row * width_ + i), factor));
  }

  // Logarithm, to base 2, of the sum of all exponentials of a row.
  float log2_total(int64_t row) const { return highest_[row] + std::log2(totals_[row]); }

 private:
  static constexpr int64_t kWeightsRow = kKeys + 32;

  // Turn the scores of a row into weights below its running maximum; keys that it does not see get 0.
  void weigh(int64_t row, int64_t blocks, const uint32_t* words) {
    const float* scores = scores_.get() + row * kKeys;
    bf16* weights = weights_.get() + row * kWeightsRow;
    __m512 most = _mm512_set1_ps(kNone);
    for (int64_t i = 0; i < 2 * blocks; ++i)
      most = _mm512_mask_max_ps(most, half(words, i), most, _mm512_loadu_ps(scores + 16 * i));
    raise(row, _mm512_reduce_max_ps(most) * scale_);
    const __m512 scale = _mm512_set1_ps(scale_), below = _mm512_set1_ps(highest_[row]);
    __m512 total = _mm512_setzero_ps();
    for (int64_t i = 0; i < 2 * blocks; ++i) {
      const __m512 x = exp2_of(_mm512_fmsub_ps(_mm512_loadu_ps(scores + 16 * i), scale, below));
      const __m512 kept = _mm512_maskz_mov_ps(half(words, i), x);
      total = _mm512_add_ps(total, kept);
      store_narrow(weights + 16 * i, kept);
    }
    totals_[row] += _mm512_reduce_add_ps(total);
  }

  static __mmask16 half(const uint32_t* words, int64_t i) { return static_cast<__mmask16>(words[i / 2] >> (i % 2 * 16)); }

  void raise(int64_t row, float highest) {
    if (!(highest > highest_[row])) return;
    const __m512 factor = _mm512_set1_ps(std::exp2(highest_[row] - highest));
    highest_[row] = highest;
    totals_[row] *= _mm512_cvtss_f32(factor);
    float* outputs = outputs_.get() + row * width_;
    for (int64_t i = 0; i < width_; i += 16)
      _mm512_storeu_ps(outputs + i, _mm512_mul_ps(_mm512_loadu_ps(outputs + i), factor));
  }

  const int64_t width_;
  const float scale_;
  int64_t rows_ = 0;
  Memory<float> scores_, outputs_;
  Memory<bf16> weights_;
  float highest_[kBlock], totals_[kBlock];
};

}  // namespace
