// Rows of floats, aligned and padded for vector instructions.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace mlb {

inline constexpr std::size_t kLanes = 8;       // rows are padded to a multiple of this many floats
inline constexpr std::size_t kAlignment = 64;  // bytes; a cache line
inline constexpr std::size_t kLine = kAlignment / sizeof(float);
inline constexpr std::size_t kHugePage = std::size_t{1} << 21;
inline constexpr std::size_t kMostBytes = std::size_t{1} << 47;  // what a process can address
inline constexpr std::size_t kWidestRow = std::size_t{1} << 28;  // floats, 1 GiB: no product of widths overflows

constexpr std::size_t rounded_up(std::size_t count, std::size_t unit) { return (count + unit - 1) / unit * unit; }
constexpr std::size_t padded(std::size_t floats) { return rounded_up(floats, kLanes); }

template <typename T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <typename U>
  explicit AlignedAllocator(const AlignedAllocator<U>& /*other*/) {}
  T* allocate(std::size_t count) {
    if (count > kMostBytes / sizeof(T)) throw std::bad_array_new_length();
    const std::size_t bytes = count * sizeof(T);
    void* memory = ::operator new(bytes, alignment(bytes));
#ifdef __linux__
    // Rows of a large tree are read once each and far apart: with small pages, most reads would miss the TLB.
    if (bytes >= kHugePage / 2) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) { ::operator delete(memory, alignment(count * sizeof(T))); }
  static std::align_val_t alignment(std::size_t bytes) {
    return std::align_val_t{bytes >= kHugePage / 2 ? kHugePage : kAlignment};
  }
  template <typename U>
  bool operator==(const AlignedAllocator<U>& /*other*/) const {
    return true;
  }
};

using Floats = std::vector<float, AlignedAllocator<float>>;

}  // namespace mlb
