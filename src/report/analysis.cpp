#include "report/analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "store/image.h"

namespace whimbrel {

namespace {

using nlohmann::json;
constexpr std::int64_t examples_max = 5;

// Values in documents are as a person reads them; what is no UTF-8 is escaped by show().
json shown(const Value& value) {
  if (value.is_null()) return nullptr;
  if (const auto* whole = value.get_if<std::int64_t>()) return *whole;
  return show(value, 200);
}

struct Refusals {
  void forget_examples() {
    for (auto& [reason, counted] : reasons) counted.second.clear();
  }
  std::int64_t rows = 0;
  std::map<std::string, std::pair<std::int64_t, std::vector<std::string>>> reasons;

  void add(const Row& key, const Error& error) {
    ++rows;
    // The reason without the value: rows that fail alike are counted together.
    auto& [count, examples] = reasons[error.context.empty() ? error.message : error.context.back()];
    ++count;
    if (std::ssize(examples) < examples_max) {
      examples.push_back(fmt::format("key {}: {}", show(key), error.message));
    }
  }
};

class TableAnalysis {
 public:
  TableAnalysis(const Migration& migration, const Move& move, bool redact)
      : migration_(migration), move_(move), redact_(redact) {}

  Status describe() {
    document_ = {
        {"table", move_.name}, {"from", move_.from}, {"to", move_.to}, {"findings", json::array()}};
    line("{} → {}", move_.from, move_.to);
    const Result<TableSchema> there = move_.target->catalog().describe(move_.mapping.target.name);
    document_["target_exists"] = there.ok();
    line("  target      {}", there.ok() ? "is there" : "would be made");
    for (const ColumnRule& rule : move_.mapping.forward) {
      document_["mapping"].push_back(
          {{"column", rule.column}, {"from", whimbrel::describe(*rule.expr)}});
    }
    ASSIGN_OR_RETURN(const std::vector<Finding> findings,
                     move_.source->review(move_.mapping, migration_.sync == Sync::dual));
    for (const Finding& finding : findings) add_finding(finding);
    TRY(target_rows(there.ok() ? &there.value() : nullptr));
    way_back();
    if (migration_.sync == Sync::dual && move_.on_error == OnError::reject) {
      add_finding(
          {Finding::Weight::refusal, "reject_under_dual",
           "`on_error: reject` cannot be kept under `sync: dual`: a trigger refuses nothing",
           "say `sync: capture`"});
    }
    return {};
  }

  Status read_all(Clock& clock, Events& events, const StopFlag& stop) {
    ASSIGN_OR_RETURN(const auto reader, move_.source->open_reader(move_.mapping.source));
    const Milliseconds began = clock.monotonic();
    Refusals refusals;
    std::int64_t rows = 0;
    std::int64_t bytes = 0;
    std::optional<Row> after;
    do {
      if (stop.requested()) return Error{ErrorCode::cancelled, "stopped as asked"};
      ASSIGN_OR_RETURN(const ChunkOfRows chunk,
                       reader->read_after(after, {5000, std::int64_t{8} << 20}));
      for (const Row& row : chunk.rows) {
        bytes += size_of(row);
        look_at(row, refusals);
      }
      rows += std::ssize(chunk.rows);
      events.emit({"analyzed", {{"table", move_.name}, {"rows", rows}}});
      after = chunk.range.through;
    } while (after);
    const Milliseconds took = clock.monotonic() - began;
    told(rows, bytes, took, refusals);
    return {};
  }

  const json& document() const { return document_; }
  const std::string& text() const { return text_; }
  bool refused() const { return refused_; }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  void add_finding(const Finding& finding) {
    constexpr const char* weights[] = {"note", "warning", "refusal"};
    const char* weight = weights[static_cast<int>(finding.weight)];
    document_["findings"].push_back({{"weight", weight},
                                     {"code", finding.code},
                                     {"message", finding.message},
                                     {"hint", finding.hint}});
    refused_ = refused_ || finding.weight == Finding::Weight::refusal;
    line("  {:<11} {}{}", weight, finding.message,
         finding.hint.empty() ? "" : "\n              hint: " + finding.hint);
  }

  Status target_rows(const TableSchema* there) {
    if (there == nullptr) return {};
    ASSIGN_OR_RETURN(const auto reader, move_.target->open_reader(*there));
    ASSIGN_OR_RETURN(const std::int64_t rows, reader->count());
    document_["target_rows"] = rows;
    if (rows > 0) {
      add_finding(
          {Finding::Weight::refusal, "target_has_rows",
           fmt::format("{} has {} rows already", move_.to, with_thousands(rows)),
           "empty it, or name another target; merging into rows of others is not yet there"});
    }
    return {};
  }

  void way_back() {
    json losses = json::array();
    for (const Loss& loss : move_.mapping.losses) {
      losses.push_back({{"column", loss.column}, {"what", loss.what}});
      line("  way back    {}: {}", loss.column, loss.what);
    }
    document_["cannot_be_undone"] = losses;
    document_["only_on_new_side"] = move_.mapping.new_only;
    if (!move_.mapping.new_only.empty()) {
      line(
          "  way back    the old shape cannot hold what the new application writes into {}: a "
          "rollback keeps "
          "it in kept-by-rollback.jsonl.zst, the next attempt puts it back",
          join(move_.mapping.new_only, ", "));
    }
  }

  void look_at(const Row& row, Refusals& refusals) {
    Result<Row> image = image_of(move_.mapping, row, move_.target->catalog());
    if (image.ok()) {
      for (const ColumnRule& rule : move_.mapping.forward) {
        const auto at = static_cast<std::size_t>(rule.index);
        if (image.value()[at].is_null() && !move_.mapping.target.columns[at].nullable) {
          image = Error{ErrorCode::refused,
                        fmt::format("{}.{} is NOT NULL and would get a null",
                                    move_.mapping.target.name, rule.column),
                        "add `if_null:`",
                        "",
                        {"null into " + rule.column},
                        ""};
          break;
        }
      }
    }
    if (!image.ok()) {
      refusals.add(key_of(row, move_.mapping.source_key), image.error());
      if (redact_) refusals.forget_examples();
      return;
    }
    if (redact_ || samples_.size() >= 3) return;
    json before = json::object();
    json after = json::object();
    for (std::size_t i = 0; i < row.size(); ++i) {
      before[move_.mapping.source.columns[i].name] = shown(row[i]);
    }
    for (const ColumnRule& rule : move_.mapping.forward) {
      after[rule.column] = shown(image.value()[static_cast<std::size_t>(rule.index)]);
    }
    samples_.push_back({{"before", before}, {"after", after}});
  }

  void told(std::int64_t rows, std::int64_t bytes, Milliseconds took, const Refusals& refusals) {
    document_["rows"] = rows;
    document_["bytes"] = bytes;
    document_["read_ms"] = took.count();
    document_["samples"] = samples_;
    // Copying writes what reading only reads, and an index for each secondary key.
    const std::int64_t indexes = 1 + std::ssize(move_.mapping.target.index_ddl);
    const std::int64_t estimate = took.count() + rows * (4 + 2 * indexes) / 1000;
    document_["estimate_ms"] = estimate;
    line("  rows        {} ({} of values)", with_thousands(rows), in_bytes(bytes));
    line("  estimate    {} to copy and compare, about {} more on disk",
         to_duration_text(Milliseconds(estimate)), in_bytes(bytes * 13 / 10 + rows * 20 * indexes));
    if (!samples_.empty()) {
      const auto& after = samples_.front()["after"];
      line("  mapping     as the first row shows it:");
      for (const ColumnRule& rule : move_.mapping.forward) {
        line(
            "    {:<24} ← {:<44} {}", rule.column, printable(whimbrel::describe(*rule.expr), 43),
            printable(after[rule.column].dump(-1, ' ', false, json::error_handler_t::replace), 40));
      }
    }
    json reasons = json::array();
    for (const auto& [reason, counted] : refusals.reasons) {
      reasons.push_back(
          {{"reason", reason}, {"rows", counted.first}, {"examples", counted.second}});
      line("  refused     {} rows, {}:", with_thousands(counted.first), reason);
      for (const std::string& example : counted.second) line("                {}", example);
    }
    document_["refused_rows"] = refusals.rows;
    document_["refused_reasons"] = reasons;
    if (refusals.rows > 0 && move_.on_error == OnError::fail) {
      refused_ = true;
      line(
          "  hint        correct these rows, give `if_null:` or another function, or say "
          "`on_error: reject`");
    }
  }

  static std::string in_bytes(std::int64_t bytes) {
    if (bytes < 10'000) return fmt::format("{} bytes", bytes);
    if (bytes < 10'000'000) return fmt::format("{} kB", bytes / 1000);
    return fmt::format("{} MB", bytes / 1'000'000);
  }

  const Migration& migration_;
  const Move& move_;
  bool redact_;
  json document_;
  std::vector<json> samples_;
  std::string text_;
  bool refused_ = false;
};

json plan_part(const Migration& migration) {
  json objects = json::array();
  for (const Move& move : migration.moves) {
    if (move.creates_target) objects.push_back("table " + move.to);
    objects.push_back(
        migration.sync == Sync::dual
            ? "triggers on both tables that carry each write to the other side (whimbrel_…)"
        : migration.sync == Sync::capture
            ? "triggers on the table in use that note the keys it writes (whimbrel_…)"
            : "in the window only: triggers on the table in use that hold its writers and note "
              "the keys of writes that escape (whimbrel_…)");
  }
  objects.push_back("whimbrel_claims: which journal drives the migration");
  json switches = json::array();
  for (const SwitchPlan& one : migration.switches) switches.push_back(one.name);
  return {{"migration", migration.name},
          {"digest", migration.digest},
          {"sync", name_of(migration.sync)},
          {"objects", objects},
          {"switches", switches},
          {"locks", "one writer at a time: a chunk holds the write lock for about 25 ms"}};
}

Result<Analysis> run(const Migration& migration, Clock& clock, Events* events, const StopFlag* stop,
                     bool redact) {
  Analysis analysis;
  analysis.document = plan_part(migration);
  analysis.document["made_at"] = to_iso8601(clock.now());
  analysis.document["full"] = events != nullptr;
  analysis.document["tables"] = json::array();
  for (const Move& move : migration.moves) {
    TableAnalysis table(migration, move, redact);
    TRY(table.describe());
    if (events != nullptr) TRY(table.read_all(clock, *events, *stop));
    analysis.document["tables"].push_back(table.document());
    analysis.text += table.text();
    analysis.refused = analysis.refused || table.refused();
  }
  analysis.document["refused"] = analysis.refused;
  analysis.text += "would make:\n";
  for (const auto& object : analysis.document["objects"])
    analysis.text += "  " + object.get<std::string>() + "\n";
  analysis.text += analysis.refused ? "`whimbrel run` would refuse: see above\n"
                                    : "`whimbrel run` would go ahead\n";
  return analysis;
}

}  // namespace

Result<Analysis> analyze(const Migration& migration, Clock& clock, Events& events,
                         const StopFlag& stop, bool redact) {
  return run(migration, clock, &events, &stop, redact);
}

Result<Analysis> check(const Migration& migration, Clock& clock) {
  return run(migration, clock, nullptr, nullptr, true);
}

}  // namespace whimbrel
