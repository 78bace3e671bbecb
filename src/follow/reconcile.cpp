#include "follow/reconcile.h"

#include <fmt/format.h>

#include "plan/selection.h"
#include "store/image.h"

namespace whimbrel {

namespace {
constexpr ChunkLimits chunk_limits{1000, std::int64_t{8} << 20};
// Where rows stay in their store.
constexpr ChunkLimits inside_limits{20'000, std::int64_t{64} << 20};
}  // namespace

Reconcile::Reconcile(Direction direction, const Move& move, Follow& follow)
    : direction_(direction), move_(move), follow_(follow) {}

Status Reconcile::open() {
  const bool forward = direction_ == Direction::forward;
  ASSIGN_OR_RETURN(auto source, move_.source->open_reader_where(move_.mapping.source, move_.where));
  ASSIGN_OR_RETURN(auto target, move_.target->open_reader(move_.mapping.target));
  serving_ = std::move(forward ? source : target);
  other_ = std::move(forward ? target : source);
  if (forward && move_.compares_inside) {
    ASSIGN_OR_RETURN(inside_, move_.target->open_inside(move_.mapping, *move_.source));
  }
  return {};
}

Status Reconcile::tell_before(const std::vector<Row>& keys) {
  const Mapping& mapping = move_.mapping;
  const Catalog& old_side = move_.source->catalog();
  std::vector<Row> own;
  for (const Row& key : keys) {
    const Result<Row> source = source_key_of(mapping, key, old_side);
    if (source.ok()) own.push_back(source.value());
  }
  if (own.size() != keys.size()) return {};  // told when they are carried
  ASSIGN_OR_RETURN(const auto before, other_->read_keys(own));
  ASSIGN_OR_RETURN(const auto serving, serving_->read_keys(keys));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!before[i]) continue;
    const bool stays =
        serving[i] &&
        same(source_that_fits(mapping, *serving[i], *before[i], old_side), *before[i]);
    if (!stays) TRY(gives_way_(own[i], *before[i]));
  }
  return {};
}

Status Reconcile::carry(std::vector<Row> keys) {
  if (keys.empty()) return {};
  if (gives_way_) TRY(tell_before(keys));
  Result<std::int64_t> carried = follow_.carry_keys(move_, std::move(keys));
  if (!carried.ok()) {
    return std::move(carried).error().within(fmt::format("comparing {} row by row", move_.name));
  }
  written_ += carried.value();
  return {};
}

Result<bool> Reconcile::differing_chunk() {
  ASSIGN_OR_RETURN(const InsideComparison chunk,
                   inside_->compare_after(after_, std::nullopt, inside_limits));
  rows_ += chunk.expected.rows();
  TRY(carry(chunk.differing));
  after_ = chunk.range.through;
  return !after_.has_value();
}

// Where it costs more to write than to read. Backward a row that is equal may still hold what has
// no place on the old side, and is looked at when it is carried.
Status Reconcile::leave_out_what_is_equal(const std::vector<Row>& rows, std::vector<Row>& keys) {
  const Mapping& mapping = move_.mapping;
  std::vector<std::optional<Row>> images;
  std::vector<Row> target_keys;
  for (const Row& row : rows) {
    Result<Row> image = image_of(mapping, row, move_.target->catalog());
    images.emplace_back();
    if (!image.ok()) continue;  // told, or set aside, when it is carried
    target_keys.push_back(key_of(image.value(), mapping.target_key));
    images.back() = std::move(image).value();
  }
  ASSIGN_OR_RETURN(const auto found, other_->read_keys(target_keys));
  std::vector<Row> others;
  std::size_t next = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::optional<Row>* there = images[i] ? &found[next++] : nullptr;
    const bool is_equal =
        there != nullptr && *there && differing(mapping.forward, *images[i], **there).empty();
    if (!is_equal) others.push_back(std::move(keys[i]));
  }
  keys = std::move(others);
  return {};
}

Result<bool> Reconcile::serving_chunk() {
  if (inside_ != nullptr) return differing_chunk();
  ASSIGN_OR_RETURN(const ChunkOfRows chunk, serving_->read_after(after_, chunk_limits));
  const auto& key =
      direction_ == Direction::forward ? move_.mapping.source_key : move_.mapping.target_key;
  std::vector<Row> keys;
  for (const Row& row : chunk.rows) keys.push_back(key_of(row, key));
  rows_ += std::ssize(keys);
  if (direction_ == Direction::forward && move_.own == nullptr) {
    TRY(leave_out_what_is_equal(chunk.rows, keys));
  }
  TRY(carry(std::move(keys)));
  after_ = chunk.range.through;
  return !after_.has_value();
}

Result<std::optional<Row>> Reconcile::serving_key_of(const Row& other_row) const {
  const Mapping& mapping = move_.mapping;
  if (direction_ == Direction::forward) {
    ASSIGN_OR_RETURN(Row key, source_key_of(mapping, key_of(other_row, mapping.target_key),
                                            move_.source->catalog()));
    return std::optional<Row>(std::move(key));
  }
  if (move_.on_error == OnError::reject &&
      !image_of(mapping, other_row, move_.target->catalog()).ok()) {
    return std::optional<Row>{};
  }
  ASSIGN_OR_RETURN(Row key, target_key_of(mapping, key_of(other_row, mapping.source_key),
                                          move_.target->catalog()));
  return std::optional<Row>(std::move(key));
}

// Rows of others in the target are nobody's business here.
Result<bool> Reconcile::own_chunk() {
  ASSIGN_OR_RETURN(OwnWithoutSource gone,
                   own_without_source(*move_.own, *serving_, after_, chunk_limits.rows_max,
                                      what_is_wanted(follow_.moves(), move_)));
  TRY(carry(std::move(gone.source_keys)));
  after_ = gone.through;
  return !after_.has_value();
}

Result<bool> Reconcile::strangers_chunk(const InsideStrangers& strangers) {
  std::vector<Row> keys;
  for (const Row& key : strangers.keys) {
    ASSIGN_OR_RETURN(Row source, source_key_of(move_.mapping, key, move_.source->catalog()));
    keys.push_back(std::move(source));
  }
  TRY(carry(std::move(keys)));
  after_ = strangers.range.through;
  return !after_.has_value();
}

Result<bool> Reconcile::other_chunk() {
  if (move_.own != nullptr) return own_chunk();
  if (inside_ != nullptr) {
    ASSIGN_OR_RETURN(const auto strangers, inside_->strangers_after(after_, inside_limits));
    if (strangers) return strangers_chunk(*strangers);
  }
  ASSIGN_OR_RETURN(const ChunkOfRows chunk, other_->read_after(after_, chunk_limits));
  std::vector<Row> keys;
  for (const Row& row : chunk.rows) {
    ASSIGN_OR_RETURN(std::optional<Row> key, serving_key_of(row));
    if (key) keys.push_back(*std::move(key));
  }
  ASSIGN_OR_RETURN(const auto found, serving_->read_keys(keys));
  std::vector<Row> gone;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!found[i]) gone.push_back(keys[i]);
  }
  TRY(carry(std::move(gone)));
  after_ = chunk.range.through;
  return !after_.has_value();
}

// By the first pass each row that serves has its row on the other side: as many are there, or more.
Result<bool> Reconcile::has_no_others() {
  if (inside_ == nullptr || move_.own != nullptr || move_.on_error == OnError::reject) return false;
  ASSIGN_OR_RETURN(const std::int64_t there, other_->count());
  return there == rows_;
}

Result<Step> Reconcile::step() {
  if (serving_ == nullptr) TRY(open());
  if (pass_ == Pass::other && !after_) {
    ASSIGN_OR_RETURN(const bool none, has_no_others());
    if (none) pass_ = Pass::done;
  }
  if (pass_ == Pass::done) return Step::done;
  ASSIGN_OR_RETURN(const bool at_end, pass_ == Pass::serving ? serving_chunk() : other_chunk());
  if (!at_end) return Step::again;
  after_.reset();
  pass_ = pass_ == Pass::serving ? Pass::other : Pass::done;
  return pass_ == Pass::done ? Step::done : Step::again;
}

}  // namespace whimbrel
