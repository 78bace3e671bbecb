#include "plan/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "plan/subset.h"
#include "store/image.h"

namespace whimbrel {

namespace {

constexpr std::size_t remembered_max = 200'000;  // of all tables together

// Equal to the store alone, like 1.0 to 1, it would get another new id than its parent.
bool leads_to_its_new_id(const Move& parent, const Row& asked, const Row& found) {
  const std::string& key = parent.mapping.source.key.front();
  const bool stays = std::ranges::any_of(parent.mapping.forward, [&](const ColumnRule& rule) {
    const auto* bare = std::get_if<ColumnRef>(&rule.expr->node);
    return bare != nullptr && bare->column == key;
  });
  if (stays) return true;
  const Result<std::string> one = faithful_text_of(asked.front());
  const Result<std::string> other =
      faithful_text_of(key_of(found, parent.mapping.source_key).front());
  return one.ok() && other.ok() && one.value() == other.value();
}

}  // namespace

bool leaves_out_rows(const Move& move) { return !move.where.empty() || move.subset != nullptr; }

std::function<Result<bool>(const Row&)> what_is_wanted(std::span<const Move> moves,
                                                       const Move& move) {
  if (!leaves_out_rows(move)) return nullptr;
  return [selection = Selection(moves, move)](const Row& row) { return selection.is_wanted(row); };
}

Result<Row> own_image_of(const Move& move, const Row& row) {
  ASSIGN_OR_RETURN(Row image, image_of(move.mapping, row, move.target->catalog()));
  const Row key = key_of(image, move.mapping.target_key);
  if (std::ranges::none_of(key, &Value::is_null)) return image;
  // It would never be found again, and each attempt would make another.
  return Error{ErrorCode::data_mismatch,
               fmt::format("the row {} of {} would get a null in its key in {}",
                           show(key_of(row, move.mapping.source_key)), move.from, move.to),
               "give it a value, or say `orphans: reject` or `delete` where its reference leads to "
               "nothing",
               "that row was not written",
               {},
               ""};
}

std::vector<Value> ids_of(const Reference& reference, const Row& row) {
  Result<std::vector<Value>> ids =
      ids_in(reference.place, row[static_cast<std::size_t>(reference.column)], reference.of_key);
  if (!ids.ok()) return {};
  std::erase_if(ids.value(), [](const Value& id) { return id.is_null(); });
  return std::move(ids).value();
}

bool meets_conditions(const Move& move, const Row& row) {
  return std::ranges::all_of(
      move.where, [&](const Condition& one) { return holds(one, move.mapping.source, row); });
}

Result<bool> Selection::is_wanted(const Row& row) const {
  if (!meets_conditions(move_, row)) return false;
  return move_.subset == nullptr ? Result<bool>(true) : move_.subset->has(moves_, move_, row);
}

// Rows that are referred to, and the rows that these refer to, and so on, as far as it matters.
//
// A row is taken unless something speaks against it; a row that turns out not to be taken may turn
// out others that refer to it. So all are taken first, and doubts go from row to row until there
// are none. Rows in a circle are taken together or not at all.
class Selection::Closure {
 public:
  Closure(std::span<const Move> moves, std::shared_ptr<Known> known)
      : moves_(moves), known_(std::move(known)) {}

  // What comes of it is known afterwards.
  Status resolve(int move, std::vector<Row> keys) {
    for (Row& key : keys) (void)node_of(move, std::move(key));
    while (!open_.empty()) {
      const std::map<int, std::vector<std::size_t>> now = std::exchange(open_, {});
      for (const auto& [index, nodes] : now) TRY(read(moves_[at(index)], nodes));
      const bool goes_on = !open_.empty();
      if (goes_on && (nodes_.size() > nodes_max || bytes_ > bytes_max)) {
        return too_much(moves_[at(move)]);
      }
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) doubted_.push_back(i);
    while (!doubted_.empty()) {
      const std::size_t node = doubted_.back();
      doubted_.pop_back();
      TRY(look_again(nodes_[node]));
    }
    for (auto& [index, numbers] : numbers_) {
      auto& taken = known_->parents[index].taken;
      for (const auto& [key, number] : numbers) taken[key] = nodes_[number].is_taken;
    }
    return {};
  }

 private:
  struct Link {
    const Reference* reference = nullptr;
    Value id;
    std::optional<std::size_t> node;  // unset: it is known already not to be taken
  };
  struct Node {
    int move = 0;
    Row key;
    bool is_taken = true;
    std::optional<Row> row;  // where it has to be converted to know
    std::vector<Link> links;
    std::vector<std::size_t> referred_by;
  };
  // What is held at once.
  static constexpr std::size_t nodes_max = 80'000;
  static constexpr std::int64_t bytes_max = std::int64_t{64} << 20;

  static std::size_t at(int index) { return static_cast<std::size_t>(index); }

  static Error too_much(const Move& move) {
    return Error{ErrorCode::refused,
                 fmt::format("a row of {} refers to another, that one to the next, and so on, "
                             "through more rows than can be held at once: whether all of them are "
                             "there is not known",
                             move.name),
                 "say `orphans: keep` or `fail` for these tables, and correct what refers to "
                 "nothing before or afterwards"};
  }

  std::size_t node_of(int move, Row key) {
    const auto [it, is_new] = numbers_[move].try_emplace(std::move(key), nodes_.size());
    if (!is_new) return it->second;
    nodes_.push_back({move, it->first, true, {}, {}, {}});
    open_[move].push_back(it->second);
    return it->second;
  }

  Status read(const Move& move, const std::vector<std::size_t>& nodes) {
    Parent& parent = known_->parents[move.index];
    if (parent.reader == nullptr) {
      ASSIGN_OR_RETURN(parent.reader, move.source->open_reader(move.mapping.source));
    }
    std::vector<Row> keys;
    for (const std::size_t node : nodes) keys.push_back(nodes_[node].key);
    ASSIGN_OR_RETURN(auto rows, parent.reader->read_keys(keys));
    const Selection of_move(moves_, move, known_);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      // What has the same key, and cannot get a new one, is told by itself.
      bool wanted =
          rows[i].has_value() && (same(keys[i], key_of(*rows[i], move.mapping.source_key)) ||
                                  leads_to_its_new_id(move, keys[i], *rows[i]));
      if (rows[i] && !wanted) note_spelling(move, keys[i], *rows[i]);
      if (wanted) {
        ASSIGN_OR_RETURN(wanted, of_move.is_wanted(*rows[i]));
      }
      nodes_[nodes[i]].is_taken = wanted;
      if (wanted) follow(move, nodes[i], *std::move(rows[i]));
    }
    return {};
  }

  void note_spelling(const Move& move, const Row& asked, const Row& found) {
    SpelledOtherwise& odd = known_->spelled_otherwise;
    constexpr std::size_t keys_max = 10'000;  // enough to tell that there are many
    const bool is_first = odd.keys.empty();
    if (odd.keys.size() < keys_max) odd.keys.insert(asked);
    if (!is_first) return;
    odd.example = fmt::format("{} for the key {} of {}", show(asked.front()),
                              show(key_of(found, move.mapping.source_key)), move.name);
  }

  // References matter where they decide about the row, or about whether it can be converted.
  void follow(const Move& move, std::size_t node, Row row) {
    const bool goes = move.orphans == Orphans::reject || move.orphans == Orphans::remove;
    const bool converts = move.on_error == OnError::reject;
    const bool changes = move.orphans == Orphans::null || move.orphans == Orphans::assign;
    for (const Reference& reference : move.references) {
      if (!goes && !(converts && changes)) break;
      for (const Value& id : ids_of(reference, row)) link(node, reference, id);
    }
    if (!converts) return;
    bytes_ += size_of(row);
    nodes_[node].row = std::move(row);
  }

  void link(std::size_t node, const Reference& reference, const Value& id) {
    const auto& taken = known_->parents[reference.parent].taken;
    if (const auto it = taken.find({id}); it != taken.end()) {
      if (!it->second) nodes_[node].links.push_back({&reference, id, std::nullopt});
      return;
    }
    const std::size_t other = node_of(reference.parent, {id});
    nodes_[node].links.push_back({&reference, id, other});
    nodes_[other].referred_by.push_back(node);
  }

  Status look_again(Node& node) {
    const bool was_taken = node.is_taken;
    if (was_taken) {
      ASSIGN_OR_RETURN(node.is_taken, stays(node));
    }
    if (node.is_taken) return {};
    // Those that were never taken have been asked about once, and that is enough.
    for (const std::size_t other : std::exchange(node.referred_by, {})) doubted_.push_back(other);
    return {};
  }

  Result<bool> stays(const Node& node) const {
    const Move& move = moves_[at(node.move)];
    std::vector<Missing> missing;
    for (const Link& link : node.links) {
      if (link.node && nodes_[*link.node].is_taken) continue;
      missing.push_back({0, link.reference, link.id});
    }
    const bool goes = move.orphans == Orphans::reject || move.orphans == Orphans::remove;
    if (goes && !missing.empty()) return false;
    if (!node.row) return true;
    ASSIGN_OR_RETURN(const std::vector<Pick> picks,
                     Selection(moves_, move, known_).decide({*node.row}, missing));
    return picks.front().fate == Fate::taken &&
           image_of(move.mapping, picks.front().row, move.target->catalog()).ok();
  }

  std::span<const Move> moves_;
  std::shared_ptr<Known> known_;
  std::vector<Node> nodes_;
  std::int64_t bytes_ = 0;                                      // of rows
  std::map<int, std::map<Row, std::size_t, RowLess>> numbers_;  // by move and key
  std::map<int, std::vector<std::size_t>> open_;                // not read yet
  std::vector<std::size_t> doubted_;
};

Status Selection::look_up(const Reference& reference, std::vector<Value> ids) {
  Parent& parent = known_->parents[reference.parent];
  std::size_t remembered = 0;
  for (const auto& [move, one] : known_->parents) remembered += one.taken.size();
  for (auto& [move, one] : known_->parents) {
    if (remembered > remembered_max) one.taken.clear();
  }
  std::vector<Row> keys;
  for (Value& id : ids) {
    Row key{std::move(id)};
    if (!parent.taken.contains(key)) keys.push_back(std::move(key));
  }
  // Those of which the row itself is needed are looked up a few at a time.
  const bool holds_rows =
      moves_[static_cast<std::size_t>(reference.parent)].on_error == OnError::reject;
  const std::size_t at_once = holds_rows ? 128 : 4096;
  for (std::size_t begin = 0; begin < keys.size(); begin += at_once) {
    const std::size_t end = std::min(begin + at_once, keys.size());
    TRY(Closure(moves_, known_)
            .resolve(reference.parent,
                     std::vector<Row>(keys.begin() + static_cast<std::ptrdiff_t>(begin),
                                      keys.begin() + static_cast<std::ptrdiff_t>(end))));
  }
  return {};
}

Result<bool> Selection::is_taken(const Reference& reference, const Value& id) {
  TRY(look_up(reference, {id}));
  return known_->parents[reference.parent].taken.at({id});
}

Result<std::vector<Selection::Missing>> Selection::missing(std::span<const Row> rows) {
  std::vector<Missing> all;
  for (const Reference& reference : move_.references) {
    std::vector<std::vector<Value>> by_row;
    std::vector<Value> ids;
    for (const Row& row : rows) {
      by_row.push_back(ids_of(reference, row));
      ids.insert(ids.end(), by_row.back().begin(), by_row.back().end());
    }
    TRY(look_up(reference, std::move(ids)));
    const auto& taken = known_->parents[reference.parent].taken;
    for (std::size_t i = 0; i < by_row.size(); ++i) {
      for (Value& id : by_row[i]) {
        if (!taken.at({id})) all.push_back({i, &reference, std::move(id)});
      }
    }
  }
  TRY(look_again(rows, all));
  return all;
}

Status Selection::look_again(std::span<const Row> rows, std::vector<Missing>& all) {
  if (all.empty()) return {};
  std::map<std::size_t, std::size_t> asked;  // by row
  std::vector<Row> keys;
  for (const Missing& one : all) {
    if (!asked.try_emplace(one.row, keys.size()).second) continue;
    keys.push_back(key_of(rows[one.row], move_.mapping.source_key));
  }
  for (const Missing& one : all) known_->parents[one.reference->parent].taken.erase({one.id});
  ASSIGN_OR_RETURN(const auto reader, move_.source->open_reader(move_.mapping.source));
  ASSIGN_OR_RETURN(const auto now, reader->read_keys(keys));
  std::erase_if(all, [&](const Missing& one) {
    const std::optional<Row>& row = now[asked.at(one.row)];
    const std::vector<Value> ids = row ? ids_of(*one.reference, *row) : std::vector<Value>();
    return std::ranges::none_of(ids, [&](const Value& id) { return same(id, one.id); });
  });
  for (const Reference& reference : move_.references) {
    std::vector<Value> ids;
    for (const Missing& one : all) {
      if (one.reference == &reference) ids.push_back(one.id);
    }
    TRY(look_up(reference, std::move(ids)));
    const auto& taken = known_->parents[reference.parent].taken;
    std::erase_if(
        all, [&](const Missing& one) { return one.reference == &reference && taken.at({one.id}); });
  }
  return {};
}

Status Selection::refuse_orphans(const std::vector<Pick>& picks) {
  std::vector<Row> taken;
  for (const Pick& pick : picks) {
    if (pick.fate == Fate::taken) taken.push_back(pick.row);
  }
  ASSIGN_OR_RETURN(const std::vector<Missing> all, missing(taken));
  if (all.empty()) return {};
  const Missing& first = all.front();
  const std::string& parent = moves_[static_cast<std::size_t>(first.reference->parent)].name;
  return Error{
      ErrorCode::data_mismatch,
      fmt::format("{} of the row {} of {} refers to {} of {}, which is not there or not "
                  "moved",
                  first.reference->said, show(key_of(taken[first.row], move_.mapping.source_key)),
                  move_.from, show(first.id), parent),
      "`whimbrel analyze` names all such rows; correct them, or say what becomes of them: "
      "`orphans: keep`, `null`, `reject`, `delete` or `{assign: ID}`",
      "the row was not written; those before it stay until `whimbrel rollback`",
      {},
      ""};
}

// What becomes of a row that refers to nothing in this place.
Status Selection::settle(Pick& pick, const Missing& missing) const {
  const Reference& reference = *missing.reference;
  switch (move_.orphans) {
    case Orphans::fail:
    case Orphans::keep:
      return {};
    case Orphans::remove:
      pick.fate = Fate::left_out;
      return {};
    case Orphans::reject: {
      if (pick.fate == Fate::set_aside) return {};  // the first reason is enough
      const std::string& parent = moves_[static_cast<std::size_t>(reference.parent)].name;
      pick.fate = Fate::set_aside;
      pick.error = Error{ErrorCode::refused,
                         fmt::format("{} refers to {} of {}, which is not there or not moved",
                                     reference.said, show(missing.id), parent)};
      return {};
    }
    case Orphans::null:
    case Orphans::assign:
      break;
  }
  const Value instead = move_.orphans == Orphans::assign ? move_.orphans_to : Value();
  Value& value = pick.row[static_cast<std::size_t>(reference.column)];
  ASSIGN_OR_RETURN(value,
                   with_ids_replaced(reference.place, value, [&](const Value& id) -> Result<Value> {
                     return same(as_key(id, reference.of_key), missing.id) ? instead : id;
                   }));
  return {};
}

Result<std::vector<Selection::Pick>> Selection::decide(std::vector<Row> wanted,
                                                       const std::vector<Missing>& missing) const {
  std::vector<Pick> picks(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) picks[i].row = std::move(wanted[i]);
  for (const Missing& one : missing) TRY(settle(picks[one.row], one));
  return picks;
}

Result<std::vector<Selection::Pick>> Selection::pick(std::vector<std::optional<Row>> rows) {
  std::vector<Row> wanted;
  std::vector<std::size_t> of;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i]) continue;
    ASSIGN_OR_RETURN(const bool wanted_too, is_wanted(*rows[i]));
    if (!wanted_too) continue;
    wanted.push_back(*std::move(rows[i]));
    of.push_back(i);
  }
  std::vector<Missing> gone;
  if (move_.orphans != Orphans::fail && move_.orphans != Orphans::keep) {
    ASSIGN_OR_RETURN(gone, missing(wanted));
  }
  ASSIGN_OR_RETURN(std::vector<Pick> decided, decide(std::move(wanted), gone));
  std::vector<Pick> picks(rows.size(), Pick{Fate::left_out, {}, {}});
  for (std::size_t i = 0; i < of.size(); ++i) picks[of[i]] = std::move(decided[i]);
  return picks;
}

}  // namespace whimbrel
