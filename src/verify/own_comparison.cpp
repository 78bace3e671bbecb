#include "verify/own_comparison.h"

#include "base/text.h"
#include "store/image.h"

namespace whimbrel {

Result<std::vector<std::optional<Row>>> OwnComparison::images_of(
    std::vector<std::optional<Row>> sources) {
  ASSIGN_OR_RETURN(const std::vector<Selection::Pick> picks, selection_.pick(std::move(sources)));
  std::vector<std::optional<Row>> images(picks.size());
  for (std::size_t i = 0; i < picks.size(); ++i) {
    if (picks[i].fate != Selection::Fate::taken) continue;
    Result<Row> image = own_image_of(move_, picks[i].row);
    if (image.ok()) {
      images[i] = std::move(image).value();
    } else if (move_.on_error == OnError::fail) {
      return image.error();
    }
  }
  return images;
}

Status OwnComparison::judge(Pair& pair, const std::optional<OwnRow>& known) const {
  if (!known && pair.target && pair.image && move_.on_conflict == OnConflict::skip) {
    pair.image = pair.target;  // a row of others, which stays
  } else if (!known) {
    pair.target.reset();
  } else if (pair.image && move_.on_conflict == OnConflict::merge) {
    ASSIGN_OR_RETURN(pair.image, merged_image(move_.mapping, *std::move(pair.image), *known));
  }
  const std::string now =
      pair.target ? digest_hex(canonical(written_values(move_.mapping.forward, *pair.target))) : "";
  pair.waits = known ? now == known->written : !pair.target;
  if (!pair.image) {
    if (pair.target) pair.differs = "extra";
    return {};
  }
  pair.differs = !pair.target
                     ? "missing"
                     : join(differing(move_.mapping.forward, *pair.image, *pair.target), ", ");
  return {};
}

Result<std::vector<OwnComparison::Pair>> OwnComparison::compare(
    std::span<const Row> source_keys, std::vector<std::optional<Row>> sources,
    SnapshotReader& target) {
  ASSIGN_OR_RETURN(auto images, images_of(std::move(sources)));
  std::vector<Row> keys;
  std::vector<std::size_t> of;
  for (std::size_t i = 0; i < images.size(); ++i) {
    Result<Row> key = images[i]
                          ? key_of(*images[i], move_.mapping.target_key)
                          : target_key_of(move_.mapping, source_keys[i], move_.target->catalog());
    // A row that is not taken may have no counterpart at all.
    const bool is_nothing = !key.ok() && key.error().code == ErrorCode::refused;
    if (is_nothing) continue;
    if (!key.ok()) return std::move(key).error();
    keys.push_back(std::move(key).value());
    of.push_back(i);
  }
  ASSIGN_OR_RETURN(auto targets, target.read_keys(keys));
  ASSIGN_OR_RETURN(auto known, move_.own->find(keys));
  std::vector<Pair> pairs(images.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::size_t at = of[i];
    // What stands under its key may be made of another row.
    const bool is_anothers =
        !images[at] && known[i] && !same(known[i]->source_key, source_keys[at]);
    if (is_anothers) known[i].reset();
    pairs[at] = Pair{std::move(images[at]), std::move(targets[i]), ""};
    TRY(judge(pairs[at], known[i]));
  }
  return pairs;
}

}  // namespace whimbrel
