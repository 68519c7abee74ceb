#include "check.h"
#include "prefix_tree.h"

int main() {
  mlb::PrefixTree tree(8, 16);
  const std::int32_t root = tree.insert(-2, 101);
  CHECK(tree.find(-2, 101) == root);
  CHECK(tree.find(-3, 101) == mlb::PrefixTree::kAbsent);
  for (std::int32_t label = 0; label < 5000; ++label) {
    const std::int32_t node = tree.insert(label % 7 == 0 ? root : tree.size() - 1, label);
    tree.term(node)[0] = static_cast<float>(label);
    tree.state(node)[15] = static_cast<float>(-label);
  }
  CHECK(tree.size() == 5001);
  for (std::int32_t node = 1; node < tree.size(); ++node) {
    CHECK(tree.find(tree.parent(node), tree.label(node)) == node);
    CHECK(tree.term(node)[0] == static_cast<float>(tree.label(node)));
    CHECK(tree.state(node)[15] == static_cast<float>(-tree.label(node)));
  }
  tree.truncate(100);
  CHECK(tree.size() == 100);
  CHECK(tree.find(root, 98) == 99);
  CHECK(tree.find(99, 99) == mlb::PrefixTree::kAbsent);
  CHECK(tree.bytes() == 100 * tree.bytes_per_node());
  CHECK(tree.insert(99, 99) == 100);
  tree.truncate(0);
  CHECK(tree.size() == 0);
  CHECK(tree.find(-2, 101) == mlb::PrefixTree::kAbsent);
}
