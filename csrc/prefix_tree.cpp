#include "prefix_tree.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <stdexcept>

namespace mlb {

namespace {
constexpr std::size_t kFewestSlots = 64;
}

RowArena::RowArena(std::size_t width)
    : width_(width),
      shift_(static_cast<int>(std::bit_width(
                 std::max<std::size_t>(1, kHugePage / (sizeof(float) * std::max<std::size_t>(1, width))))) -
             1),
      mask_((std::size_t{1} << shift_) - 1) {}

void RowArena::resize(std::size_t rows) {
  const std::size_t blocks = (rows + mask_) >> shift_;
  while (blocks_.size() < blocks) blocks_.push_back(std::make_unique<Floats>((mask_ + 1) * width_));
  blocks_.resize(blocks);
}

PrefixTree::PrefixTree(std::size_t term_width, std::size_t state_width)
    : terms_(term_width),
      states_(state_width),
      // Parent, label, and two to four hash slots beside the rows.
      bytes_per_node_((term_width + state_width) * sizeof(float) + 2 * sizeof(std::int32_t) + 3 * sizeof(Slot)) {
  rehash(kFewestSlots);
}

std::size_t PrefixTree::slot(std::uint64_t key) const {
  // Fibonacci hashing, then linear probing.
  auto at = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> shift_);
  while (slots_[at].key != key && slots_[at].key != kEmpty) at = (at + 1) & (slots_.size() - 1);
  return at;
}

std::int32_t PrefixTree::find(std::int32_t parent, std::int32_t label) const {
  return slots_[slot(key(parent, label))].node;
}

std::int32_t PrefixTree::insert(std::int32_t parent, std::int32_t label) {
  if (parents_.size() >= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()) / 2) {
    throw std::length_error("the prefix tree is full");
  }
  const std::int32_t node = size();
  terms_.resize(parents_.size() + 1);
  states_.resize(parents_.size() + 1);
  if (slots_.size() < 2 * (parents_.size() + 1)) rehash(2 * slots_.size());
  parents_.push_back(parent);
  try {
    labels_.push_back(label);
  } catch (...) {
    parents_.pop_back();
    throw;
  }
  slots_[slot(key(parent, label))] = {.key = key(parent, label), .node = node};
  return node;
}

void PrefixTree::truncate(std::int32_t size) {
  size = std::max(size, 0);
  if (size >= this->size()) return;
  parents_.resize(index(size));
  labels_.resize(index(size));
  terms_.resize(index(size));
  states_.resize(index(size));
  rehash(std::bit_ceil(std::max(kFewestSlots, 2 * index(size))));
}

void PrefixTree::rehash(std::size_t slots) {
  slots_.assign(slots, {.key = kEmpty, .node = kAbsent});
  slots_.shrink_to_fit();
  shift_ = 64 - std::countr_zero(slots);
  for (std::int32_t node = 0; node < size(); ++node) {
    const std::uint64_t k = key(parent(node), label(node));
    slots_[slot(k)] = {.key = k, .node = node};
  }
}

}  // namespace mlb
