// What both kernels are made of: matrices packed for AMX tiles, products of blocks of 32 rows and columns, and vectors
// of 16 numbers.
//
// A left tile holds 16 rows of 32 numbers, a right tile 32 numbers of 16 columns in pairs, a sum 16 x 16. A packed matrix
// of N columns and K numbers each is N/32 panels of K/32 steps of two right tiles.

#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <utility>
#include <vector>

using bf16 = uint16_t;

namespace {

constexpr int64_t kBlock = 32;      // rows and columns of a block of sums
constexpr int64_t kTile = 16 * 32;  // numbers of a right tile
constexpr float kLog2E = 1.44269504f;
constexpr float kNone = -std::numeric_limits<float>::infinity();

int64_t padded(int64_t count) { return (count + kBlock - 1) / kBlock * kBlock; }

// Memory that a thread has used and will use again: asking the system each time costs more than filling it.
struct Spare {
  std::vector<std::pair<size_t, void*>> kept;
  ~Spare() {
    for (const auto& one : kept) std::free(one.second);
  }
};
thread_local Spare spare;

struct Keep {
  size_t bytes;
  void operator()(void* memory) const { spare.kept.emplace_back(bytes, memory); }
};
template <typename T>
using Memory = std::unique_ptr<T[], Keep>;

template <typename T>
Memory<T> zeros(int64_t count) {
  size_t bytes = 4096;
  while (bytes < count * sizeof(T)) bytes *= 2;
  const auto fits = [bytes](const auto& one) { return one.first == bytes; };
  const auto found = std::find_if(spare.kept.begin(), spare.kept.end(), fits);
  void* memory = found == spare.kept.end() ? std::aligned_alloc(64, bytes) : found->second;
  if (!memory) throw std::bad_alloc();
  if (found != spare.kept.end()) spare.kept.erase(found);
  std::memset(memory, 0, count * sizeof(T));
  return Memory<T>(static_cast<T*>(memory), Keep{bytes});
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

__m512 load_narrow(const bf16* from) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

// Where number k of column n stands in a packed matrix of `steps` steps.
int64_t place(int64_t n, int64_t k, int64_t steps) {
  return ((n / 32 * steps + k / 32) * 2 + n % 32 / 16) * kTile + k % 32 / 2 * 32 + n % 16 * 2 + k % 2;
}

// Put column n of a matrix whose columns lie in one piece; `numbers` is even.
void put_column(bf16* to, int64_t n, const bf16* column, int64_t numbers, int64_t steps) {
  for (int64_t k = 0; k < numbers; k += 2) std::memcpy(to + place(n, k, steps), column + k, 2 * sizeof(bf16));
}

// Turn 16 x 16 pairs of numbers: word c of row r becomes word r of row c.
void transpose(__m512i rows[16]) {
  __m512i once[16], twice[16];
  for (int i = 0; i < 16; i += 2) {
    once[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    once[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      twice[i + 2 * j] = _mm512_unpacklo_epi64(once[i + j], once[i + j + 2]);
      twice[i + 2 * j + 1] = _mm512_unpackhi_epi64(once[i + j], once[i + j + 2]);
    }
  for (int i = 0; i < 4; ++i) {  // twice[4 g + i] holds words i, 4 + i, 8 + i, 12 + i of rows 4 g to 4 g + 3
    const __m512i even_low = _mm512_shuffle_i32x4(twice[i], twice[4 + i], 0x88);
    const __m512i even_high = _mm512_shuffle_i32x4(twice[8 + i], twice[12 + i], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(twice[i], twice[4 + i], 0xdd);
    const __m512i odd_high = _mm512_shuffle_i32x4(twice[8 + i], twice[12 + i], 0xdd);
    rows[i] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
    rows[4 + i] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    rows[8 + i] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
    rows[12 + i] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
  }
}

// Put all columns of a matrix, each in one piece of `numbers` numbers (a multiple of 32), `distance` apart; room for
// columns up to the next multiple of 16 is written.
void put_columns(bf16* to, const bf16* from, int64_t columns, int64_t numbers, int64_t distance) {
  for (int64_t n = 0; n < columns; n += 16)
    for (int64_t k = 0; k < numbers; k += 32) {
      __m512i rows[16];
      for (int64_t i = 0; i < 16; ++i)
        rows[i] = n + i < columns ? _mm512_loadu_si512(from + (n + i) * distance + k) : _mm512_setzero_si512();
      transpose(rows);
      bf16* tile = to + place(n, k, numbers / 32);
      for (int64_t i = 0; i < 16; ++i) _mm512_storeu_si512(tile + 32 * i, rows[i]);
    }
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

// Set this thread's tiles, and set them back at the end: torch's own products keep settings of theirs.
class TileScope {
 public:
  TileScope() {
    const Tiles ours;
    _tile_storeconfig(&before_);
    asm volatile("" ::"r"(&ours), "r"(&before_) : "memory");
    _tile_loadconfig(&ours);
  }
  ~TileScope() {
    if (before_.palette)
      _tile_loadconfig(&before_);
    else
      _tile_release();
  }

 private:
  Tiles before_;
};

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

}  // namespace
