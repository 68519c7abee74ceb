// Label prefixes and what the step network said of them: a trie whose nodes are numbered in the order they came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "aligned.h"

namespace mlb {

// Rows of equal width that never move, so that growing copies nothing; in blocks of a huge page or so.
class RowArena {
 public:
  explicit RowArena(std::size_t width);
  float* row(std::size_t index) { return blocks_[index >> shift_]->data() + (index & mask_) * width_; }
  const float* row(std::size_t index) const { return blocks_[index >> shift_]->data() + (index & mask_) * width_; }
  void resize(std::size_t rows);

 private:
  std::size_t width_;
  int shift_;  // a block has 2^shift_ rows
  std::size_t mask_;
  std::vector<std::unique_ptr<Floats>> blocks_;
};

// A node stands for a prefix: its parent's prefix and one label more. Parents come before their children, so
// dropping the newest nodes leaves a tree. Reading is safe from many threads while none inserts.
class PrefixTree {
 public:
  static constexpr std::int32_t kAbsent = -1;
  // The parent of START where all images share it.
  static constexpr std::int32_t kSharedRoot = -2;

  // Widths are in floats; both are padded.
  PrefixTree(std::size_t term_width, std::size_t state_width);

  std::int32_t size() const { return static_cast<std::int32_t>(parents_.size()); }
  // A root's parent is negative; roots of different images have different ones.
  std::int32_t find(std::int32_t parent, std::int32_t label) const;
  // Returns the new node, whose rows are unset. It must be absent.
  std::int32_t insert(std::int32_t parent, std::int32_t label);
  // Drops all but the oldest `size` nodes; all of them, where it is negative.
  void truncate(std::int32_t size);

  std::int32_t parent(std::int32_t node) const { return parents_[index(node)]; }
  std::int32_t label(std::int32_t node) const { return labels_[index(node)]; }
  const float* term(std::int32_t node) const { return terms_.row(index(node)); }
  float* term(std::int32_t node) { return terms_.row(index(node)); }
  const float* state(std::int32_t node) const { return states_.row(index(node)); }
  float* state(std::int32_t node) { return states_.row(index(node)); }

  std::size_t bytes_per_node() const { return bytes_per_node_; }
  std::size_t bytes() const { return parents_.size() * bytes_per_node_; }

 private:
  struct Slot {
    std::uint64_t key;
    std::int32_t node;
  };
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};

  static std::size_t index(std::int32_t node) { return static_cast<std::size_t>(node); }
  static std::uint64_t key(std::int32_t parent, std::int32_t label) {
    return std::uint64_t{static_cast<std::uint32_t>(parent)} << 32 | static_cast<std::uint32_t>(label);
  }
  std::size_t slot(std::uint64_t key) const;
  void rehash(std::size_t slots);

  std::vector<std::int32_t> parents_, labels_;
  RowArena terms_, states_;
  std::vector<Slot> slots_;  // open addressing; a power of two, at most half full
  int shift_ = 0;
  std::size_t bytes_per_node_;
};

}  // namespace mlb
