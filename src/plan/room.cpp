#include "plan/room.h"

#include "store/image.h"

namespace whimbrel {

namespace {

Status make_room_beside(const Move& other, std::span<const Row> keys) {
  const Mapping& mapping = other.mapping;
  ASSIGN_OR_RETURN(const auto target, other.target->open_reader(mapping.target));
  ASSIGN_OR_RETURN(auto there, target->read_keys(keys));
  std::vector<Change> gone;
  std::vector<Row> source_keys;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!there[i]) continue;
    Result<Row> key = source_key_of(mapping, keys[i], other.source->catalog());
    if (!key.ok() && key.error().code == ErrorCode::refused) continue;
    if (!key.ok()) return std::move(key).error();
    source_keys.push_back(std::move(key).value());
    gone.push_back({keys[i], std::nullopt, std::move(there[i])});
  }
  if (gone.empty()) return {};
  ASSIGN_OR_RETURN(const auto source, other.source->open_reader(mapping.source));
  ASSIGN_OR_RETURN(const std::vector<bool> lives, source->has_keys(source_keys));
  std::size_t at = 0;
  std::erase_if(gone, [&](const Change&) { return lives[at++]; });
  if (gone.empty()) return {};
  ASSIGN_OR_RETURN(const auto writer,
                   other.target->open_writer(mapping.target, mapping.target.key));
  ASSIGN_OR_RETURN(const Applied applied, writer->apply(gone));
  (void)applied;  // what somebody has changed meanwhile stays in the way
  return {};
}

}  // namespace

Status make_room(std::span<const Move> moves, const Move& move, std::span<const Change> changes) {
  if (!move.target->shares_keys(move.mapping.target)) return {};
  std::vector<Row> keys;
  for (const Change& change : changes) {
    if (change.row) keys.push_back(change.key);
  }
  if (keys.empty()) return {};
  for (const Move& other : moves) {
    if (move.has_rows_beside(other)) TRY(make_room_beside(other, keys));
  }
  return {};
}

}  // namespace whimbrel
