// The search for label sequences, many images at once. bench/decode/search.py is the meaning; this is the speed.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "aligned.h"
#include "model_tree.h"
#include "options.h"
#include "prefix_tree.h"
#include "scorer.h"

namespace mlb {

// A label sequence by its last step: the node of the prefix before it, and the label (or END) that was added.
struct Path {
  double log_probability = 0.0;
  // Lower is better: -log_probability in steps of 2^-30, a whole number; in screened rounds minus the probability, in
  // float.
  double cost = 0.0;
  std::int32_t parent = -1;  // node; negative: the path is empty
  std::int32_t label = -1;
  std::int32_t length = 0;  // labels, END included
};

struct Answers {
  std::vector<std::int32_t> sequences;  // (images, max_length), padded with -1, END left out
  std::vector<double> log_probabilities;
  std::vector<std::uint8_t> complete, limited, beam_missed;
  std::vector<float> class_scores;  // (images, labels)
};

// Searches over sets of images, one set after another. begin() takes a set; advance() runs every image until it is
// done or lacks a prefix; pending() are the prefixes lacking, for all images together; provide() answers them. Which
// images share a set, the number of threads, and what the tree already holds change no answer.
class BeamSearch {
 public:
  // The tree serves one search at a time. `sees_image`: every image has prefixes of its own. `threads` 0 takes every
  // core. Throws std::invalid_argument where an option is out of its range.
  BeamSearch(ModelTree& model, const SearchOptions& options, bool sees_image, int threads);
  ~BeamSearch() { abandon(); }
  BeamSearch(const BeamSearch&) = delete;
  BeamSearch& operator=(const BeamSearch&) = delete;

  // image_terms (images, depth); start_states (1, state_size), or (images, state_size) if `sees_image`. Both are
  // copied: what their owner does with them meanwhile reaches no search. Class scores and log-probabilities cost about
  // a third of the time each: leave out what is not needed. Throws std::invalid_argument for NaN, infinity, other
  // shapes, and sets whose answers no memory could hold; nothing is begun then.
  void begin(std::span<const float> image_terms, std::span<const float> start_states, bool class_scores = true,
             bool log_probabilities = true);
  // Prefixes that were asked for and not provided leave the tree.
  void abandon();

  // Returns whether prefixes are lacking. Throws std::invalid_argument where scores overflow, std::logic_error where
  // nothing was begun.
  bool advance();

  std::size_t pending() const { return pending_.size(); }
  // labels (pending), states (pending, state_size): what to extend, and by what.
  void write_pending(std::span<std::int64_t> labels, std::span<float> states) const;
  // terms (pending, depth), states (pending, state_size).
  void provide(std::span<const float> terms, std::span<const float> states);

  std::size_t images() const { return images_.size(); }
  std::int64_t prefixes_computed() const { return prefixes_computed_; }
  // How often the scores of all labels after a prefix were computed for an image: the work of a set.
  std::int64_t rows_scored() const;
  const Answers& answers() const { return answers_; }

 private:
  enum class Stage : std::uint8_t { beam, exact, scores, done };

  struct Live {
    Path path;
    std::int32_t node = PrefixTree::kAbsent;
  };

  // A queue entry of the exact search is a path; an ended one is a possible answer.
  struct Image {
    Stage stage = Stage::beam;
    std::int32_t root = PrefixTree::kAbsent;
    std::int32_t rounds = 0;
    std::int64_t visited = 0;
    double best_cost = std::numeric_limits<double>::infinity();  // of the ended paths
    double error = 0.0;                                          // relative, of the probabilities of screened paths
    // For inclusion: the probability of all that the round's paths become but ended ones, and the probability that the
    // live paths stand for, as a multiple of their own.
    double extended = 0.0, stands_for = 1.0;
    bool limited = false, screened = false;
    std::vector<Live> live;
    std::vector<Path> candidates, queue;
    Path best, incumbent, deepest;
    bool has_incumbent = false;

    // Ready for another image; what was allocated stays.
    void reset() {
      stage = Stage::beam;
      root = PrefixTree::kAbsent;
      rounds = 0;
      visited = 0;
      best_cost = std::numeric_limits<double>::infinity();
      error = extended = 0.0;
      stands_for = 1.0;
      limited = screened = has_incumbent = false;
      live.clear();
      candidates.clear();
      queue.clear();
      best = incumbent = deepest = {};
    }
  };

  struct Request {
    std::int32_t parent, label, node;
    std::size_t image;
  };

  // What a thread needs for itself.
  struct Scratch {
    ScoreRows rows;
    Screening screening;
    std::vector<Path> extensions;
    Floats best_scores;
    std::vector<double> steps;
    std::vector<std::int32_t> left, right;
    std::vector<Request> lacking;
    std::int64_t rows_scored = 0;
    std::int64_t screened = 0, given_up = 0;  // images
  };

  void run_threads();
  bool collect_lacking();
  void run_images(std::size_t first, std::size_t last, Scratch& scratch);
  void start_image(std::size_t index, Scratch& scratch);
  bool run_round(std::size_t index, Scratch& scratch);
  bool resolve(Image& image, std::size_t index, Scratch& scratch) const;
  bool beam_round(Image& image, std::size_t index, Scratch& scratch);
  bool dispensable(const Path& path) const;
  void finish_beam(Image& image, Scratch& scratch);
  bool exact_step(Image& image, std::size_t index, Scratch& scratch);
  void finish(Image& image, std::size_t index, const Path& best, bool complete, Scratch& scratch);
  double score_steps(const Image& image, std::size_t index, const Path& best, Scratch& scratch) const;
  void write_class_scores(const Image& image, std::size_t index, Scratch& scratch);

  // beam_screening.cpp: rounds in float, whose answers are those of exact rounds or are not given.
  static bool screening_pays(const Scratch& scratch);
  bool screened_round(Image& image, std::size_t index, Scratch& scratch);
  static bool give_up_screening(Image& image, Scratch& scratch);
  bool screen(const Image& image, std::size_t index, const Live& live, Scratch& scratch) const;
  void offer(const Path& path, Scratch& scratch) const;
  void fetch_rows(Image& image) const;

  // Adds to the image's class scores the probability that each label follows `path`, which scratch.rows are of.
  void add_inclusion(std::size_t index, const Path& path, const Normalizer& normalizer, Scratch& scratch);
  static void spread_inclusion(Image& image);

  // Scores after `node`, masked, and their normalizer; rows are ready for take_best.
  Normalizer score_node(std::size_t index, std::int32_t node, std::int32_t length, Scratch& scratch) const;
  void extend(std::size_t index, const Path& path, std::int32_t node, std::int32_t count, Scratch& scratch);
  // Returns the path's node, or kAbsent after noting that it is lacking.
  std::int32_t node_of(const Path& path, std::size_t index, const Image& image, Scratch& scratch) const;
  std::int32_t root_parent(std::size_t image) const;

  bool ended(const Path& path) const { return path.length > 0 && path.label == scorer_.end(); }
  bool better(const Path& a, const Path& b, Scratch& scratch) const;
  bool comes_first(const Path& a, const Path& b, Scratch& scratch) const;
  std::strong_ordering compare_labels(const Path& a, const Path& b, Scratch& scratch) const;
  void labels_of(const Path& path, std::vector<std::int32_t>& labels) const;
  bool no_live_path_matters(const Image& image) const;

  ModelTree& model_;
  const Scorer& scorer_;  // the model's
  PrefixTree& tree_;      // the model's
  SearchOptions options_;
  std::vector<float> image_terms_, start_states_;
  std::size_t state_size_;
  bool sees_image_;
  bool class_scores_ = true, log_probabilities_ = true;
  bool prunes_ = false, screens_ = false, includes_ = false;
  std::size_t most_threads_, threads_ = 1;
  Floats image_rows_;
  std::vector<Image> images_;
  std::vector<Request> pending_;
  std::vector<Scratch> scratches_;
  Answers answers_;
  std::int64_t prefixes_computed_ = 0;
  bool begun_ = false, started_ = false;
};

}  // namespace mlb
