// Exact search: the most probable prefix is extended until it is a whole sequence.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "beam.h"

namespace mlb {

bool BeamSearch::exact_step(Image& image, std::size_t index, Scratch& scratch) {
  const auto later = [&](const Path& a, const Path& b) { return comes_first(b, a, scratch); };
  std::vector<Path>& queue = image.queue;
  const auto answer = [&](const Path& path, bool limited) {
    image.limited = limited;
    answers_.beam_missed[index] = path.length != image.best.length || compare_labels(path, image.best, scratch) != 0;
    image.best = path;
    image.candidates.assign(1, path);
    image.stage = Stage::scores;
    return false;
  };
  if (queue.empty()) return answer(image.deepest, false);
  const Path path = queue.front();
  const bool is_end = ended(path);
  const bool expands = !is_end && path.length < options_.max_length && image.visited < options_.node_limit;
  const std::int32_t node = expands ? node_of(path, index, image, scratch) : PrefixTree::kAbsent;
  if (expands && node == PrefixTree::kAbsent) return false;  // it stays first in the queue
  std::ranges::pop_heap(queue, later);
  queue.pop_back();
  if (is_end) return answer(path, false);
  if (path.length > image.deepest.length) image.deepest = path;
  if (path.length == options_.max_length) return true;
  if (!expands) return answer(image.has_incumbent ? image.incumbent : image.deepest, true);
  ++image.visited;
  scratch.extensions.clear();
  extend(index, path, node, scorer_.labels() + 1, scratch);
  for (const Path& extension : scratch.extensions) {
    if (ended(extension) && (!image.has_incumbent || better(extension, image.incumbent, scratch))) {
      image.incumbent = extension;
      image.has_incumbent = true;
    }
    // What is less probable than an ended path never comes up before it.
    if (image.has_incumbent && extension.cost > image.incumbent.cost) continue;
    queue.push_back(extension);
    std::ranges::push_heap(queue, later);
  }
  return true;
}

}  // namespace mlb
