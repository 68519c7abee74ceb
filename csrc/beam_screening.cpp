// Rounds of the beam in float, of which only those count that leave no doubt.
//
// In DRAM-bound searches the time is the bytes of the rows. A third of a row, the weights' high parts, gives each
// extension's probability to a few times 1e-6. Where the width-th best of a round is more probable than the next by
// more than both can be out, the beam is that of the exact rounds, whatever the errors were; and so is the answer,
// where the best ended path leads by as much. All else, ties among it, goes back to the start and through exact
// rounds.
#include <algorithm>
#include <functional>

#include "beam.h"

namespace mlb {

namespace {

constexpr double kLeast = 1e-250;        // probabilities of paths below it might lose bits
constexpr double kLeastShare = 0x1p-50;  // of the best live path's: what screening leaves out has less
constexpr std::int64_t kTrial = 16;      // images before a set is judged

}  // namespace

// Where many images tie, looking first is time lost.
bool BeamSearch::screening_pays(const Scratch& scratch) { return scratch.given_up * 4 <= scratch.screened + kTrial; }

// Starts the image anew, in exact rounds.
bool BeamSearch::give_up_screening(Image& image, Scratch& scratch) {
  ++scratch.given_up;
  const std::int32_t root = image.root;
  image.reset();
  image.root = root;
  image.live.push_back({.path = Path{}, .node = root});
  return true;
}

// Keeps the `width` most probable extensions and one more, best first.
void BeamSearch::offer(const Path& path, Scratch& scratch) const {
  std::vector<Path>& kept = scratch.extensions;
  const auto most = static_cast<std::size_t>(options_.beam_width) + 1;
  if (kept.size() == most) {
    if (path.cost >= kept.back().cost) return;
    kept.pop_back();
  }
  kept.insert(std::ranges::upper_bound(kept, path.cost, std::less{}, &Path::cost), path);
}

// Offers the extensions of a live path that may be among the best. Returns whether its row could be screened.
bool BeamSearch::screen(const Image& image, std::size_t index, const Live& live, Scratch& scratch) const {
  Screening& row = scratch.screening;
  const std::vector<Path>& kept = scratch.extensions;
  const auto most = static_cast<std::size_t>(options_.beam_width) + 1;
  ++scratch.rows_scored;
  if (!scorer_.screen(tree_.term(live.node), &image_rows_[index * scorer_.row_width()],
                      image.rounds >= options_.min_length, row)) {
    return false;
  }
  const double scale = -live.path.cost * row.scale;
  for (std::size_t taken = 0; taken < most; ++taken) {
    float product = 0.0F;
    const std::int32_t label = scorer_.take_likeliest(row, product);
    const double cost = -static_cast<double>(product) * scale;
    if (label < 0 || (kept.size() == most && cost >= kept.back().cost)) return true;
    offer({.log_probability = 0.0, .cost = cost, .parent = live.node, .label = label, .length = image.rounds + 1},
          scratch);
  }
  return true;
}

// Returns whether the beam goes on.
bool BeamSearch::screened_round(Image& image, std::size_t index, Scratch& scratch) {
  std::vector<Path>& kept = scratch.extensions;
  const auto width = static_cast<std::size_t>(options_.beam_width);
  double error = 0.0, score_error = 0.0, highest = 0.0;
  kept.clear();
  for (const Live& live : image.live) {
    if (!screen(image, index, live, scratch)) return give_up_screening(image, scratch);
    error = std::max(error, scratch.screening.error);
    score_error = std::max(score_error, scratch.screening.score_error);
    highest = std::max(highest, -live.path.cost);
  }
  image.error += error;
  // Both sides of a comparison are out, exact costs are on a grid, and a bound's own square is left out.
  const double doubt = 2.5 * image.error + score_error + 0x1p-28;
  const auto leads = [&](double a, double b) { return a < b * (1.0 + doubt); };  // costs: both are negative or 0
  const bool certain = kept.size() >= width && -kept[width - 1].cost > std::max(kLeast, highest * kLeastShare) &&
                       (kept.size() == width || leads(kept[width - 1].cost, kept[width].cost));
  if (!certain) return give_up_screening(image, scratch);
  kept.resize(width);
  image.live.clear();
  for (const Path& extension : kept) {
    if (ended(extension)) {
      image.candidates.push_back(extension);
    } else {
      image.live.push_back({.path = extension, .node = PrefixTree::kAbsent});
    }
  }
  ++image.rounds;
  const std::vector<Path>& candidates = image.candidates;
  const auto best = std::ranges::min_element(candidates, std::less{}, &Path::cost);
  if (best != candidates.end()) {
    std::erase_if(image.live, [&](const Live& live) { return leads(best->cost, live.path.cost); });
  }
  if (!image.live.empty() && image.rounds < options_.max_length) {
    fetch_rows(image);
    return true;
  }
  if (candidates.empty()) {
    for (const Live& live : image.live) image.candidates.push_back(live.path);
  }
  const auto first = std::ranges::min_element(candidates, std::less{}, &Path::cost);
  image.best = *first;
  const auto rivals = [&](const Path& path) { return !leads(image.best.cost, path.cost); };
  if (std::ranges::count_if(candidates, rivals) > 1) return give_up_screening(image, scratch);
  image.stage = Stage::scores;
  return false;
}

// Finds the live paths' nodes, as far as they are there, and asks for what the next round reads of them.
void BeamSearch::fetch_rows(Image& image) const {
  for (Live& live : image.live) live.node = tree_.find(live.path.parent, live.path.label);
  for (const Live& live : image.live) {
    if (live.node == PrefixTree::kAbsent) continue;
    const float* row = tree_.term(live.node);
    for (std::size_t at = 0; at < scorer_.look_width(); at += kLine) __builtin_prefetch(row + at, 0, 2);
  }
}

}  // namespace mlb
