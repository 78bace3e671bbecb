#include "report/inventory.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "base/counted.h"

namespace whimbrel {

namespace {

using nlohmann::json;

struct Count {
  std::int64_t rows = 0;
  bool exact = false;
};

Result<Count> count(Store& store, const std::string& table, Clock& clock) {
  constexpr Milliseconds time_max{2000};
  ASSIGN_OR_RETURN(const TableSchema schema, store.catalog().describe(table));
  ASSIGN_OR_RETURN(const auto reader, store.open_reader(schema));
  const Milliseconds end = clock.monotonic() + time_max;
  Count counted;
  std::optional<Row> after;
  do {
    ASSIGN_OR_RETURN(const ChunkOfRows chunk, reader->read_after(after, {5000}));
    counted.rows += std::ssize(chunk.rows);
    after = chunk.range.through;
  } while (after && clock.monotonic() < end);
  counted.exact = !after;
  return counted;
}

}  // namespace

Result<Inventory> take_inventory(const Migration& migration, Clock& clock) {
  Inventory inventory{json::array(), json::array(), ""};
  std::set<std::pair<const Store*, std::string>> known;
  for (const Move& move : migration.moves) {
    const std::string table = move.stored_source();
    if (!known.insert({&move.source->plain(), table}).second) continue;
    ASSIGN_OR_RETURN(const Count counted, count(*move.source, table, clock));
    inventory.sources.push_back(
        {{"table", table}, {"rows", counted.rows}, {"exact", counted.exact}});
    inventory.text += fmt::format("✓ {}: {}{}\n", move.name, counted.exact ? "" : "more than ",
                                  whimbrel::counted(counted.rows, "record"));
  }
  known.clear();
  for (const Move& move : migration.moves) {
    const std::string table = move.stored_target();
    if (!known.insert({&move.target->plain(), table}).second) continue;
    const Result<TableSchema> there = move.target->catalog().describe(table);
    if (!there.ok() && there.error().code != ErrorCode::not_found) return there.error();
    const bool is_there = there.ok();
    inventory.targets.push_back({{"table", table}, {"is_there", is_there}});
    inventory.text += fmt::format("{} target table {} {}\n", is_there ? "✓" : "·", table,
                                  is_there ? "is accessible" : "would be made");
  }
  return inventory;
}

}  // namespace whimbrel
