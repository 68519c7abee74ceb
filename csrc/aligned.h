// Rows of floats, aligned and padded for vector instructions.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace mlb {

inline constexpr std::size_t kLanes = 8;       // rows are padded to a multiple of this many floats
inline constexpr std::size_t kAlignment = 64;  // bytes; a cache line

constexpr std::size_t padded(std::size_t floats) { return (floats + kLanes - 1) / kLanes * kLanes; }

template <typename T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <typename U>
  explicit AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{kAlignment}));
  }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory, std::align_val_t{kAlignment}); }
  template <typename U>
  bool operator==(const AlignedAllocator<U>&) const {
    return true;
  }
};

using Floats = std::vector<float, AlignedAllocator<float>>;

}  // namespace mlb
