#include "session/look.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "discover/references.h"
#include "measure/measure.h"
#include "report/files.h"
#include "report/json_text.h"
#include "session/places.h"
#include "session/rehearsal.h"

namespace whimbrel {

namespace {

// Only a copy needs to know every reference: ids become others, or rows are left out.
Result<std::vector<UnsaidReference>> unsaid_references(const Migration& migration) {
  constexpr std::int64_t rows_sampled = 300;
  if (!migration.only_copies) return std::vector<UnsaidReference>{};
  std::vector<TableSample> samples;
  samples.reserve(migration.moves.size());
  std::vector<MaybeChild> tables;
  for (const Move& move : migration.moves) {
    ASSIGN_OR_RETURN(TableSample sample,
                     take_sample(*move.source, move.stored_source(), rows_sampled));
    samples.push_back(std::move(sample));
    MaybeChild table{move.name, move.source.get(), &samples.back(), {}};
    for (const Reference& reference : move.references) {
      table.said.insert(
          move.mapping.source.column_names()[static_cast<std::size_t>(reference.column)]);
    }
    for (const ForeignKey& key : move.mapping.source.foreign_keys) {
      table.said.insert(key.columns.begin(), key.columns.end());
    }
    tables.push_back(std::move(table));
  }
  ASSIGN_OR_RETURN(const std::vector<LikelyReference> likely, likely_references(tables));
  std::vector<UnsaidReference> unsaid;
  for (const LikelyReference& one : likely) {
    unsaid.push_back({one.child, one.column, tables[static_cast<std::size_t>(one.parent)].name,
                      one.found, one.of});
  }
  return unsaid;
}

}  // namespace

Result<Analysis> analysis_of(Session& session) {
  ASSIGN_OR_RETURN(const std::vector<UnsaidReference> unsaid,
                   unsaid_references(session.migration()));
  TRY(session.know_own_rows());
  Standing standing = session.standing();
  standing.will_not_begin = !rehearsal_was_held(session).ok() || !session.plan_is_the_one().ok();
  Result<Analysis> read = analyze(session.migration(), standing, session.clock(), session.events(),
                                  session.stop(), session.settings().redact, unsaid);
  if (read.ok()) return read;
  return std::move(read).error().saying_safe(
      "rows were only read; the same command reads them again");
}

Result<Analyzed> analyze_opened(Session& session) {
  ASSIGN_OR_RETURN(const std::string folder, session.state_folder(true));
  ASSIGN_OR_RETURN(Analysis analysis, analysis_of(session));
  const std::string text = document_text(analysis.document);
  ASSIGN_OR_RETURN(std::string file,
                   write_stamped(folder, "analysis", "json", text, session.clock().now()));
  return Analyzed{std::move(analysis), std::move(file)};
}

Result<Analyzed> analyze_migration(Session& session) {
  TRY(session.load());
  for (const Status& wanted : {rehearsal_was_held(session), session.plan_is_the_one()}) {
    if (wanted.ok()) continue;
    session.host().warn("`run` will not begin: " + wanted.error().message, wanted.error().hint);
  }
  look_at_switches(session);
  return analyze_opened(session);
}

Result<Analysis> check_migration(Session& session) {
  TRY(session.load());
  TRY(session.plan_is_the_one());
  TRY(rehearsal_was_held(session));
  TRY(places_are_there(session));
  look_at_switches(session);
  ASSIGN_OR_RETURN(Analysis analysis,
                   check(session.migration(), session.standing(), session.clock()));
  for (const Error& wrong : wrong_queries(session.migration(), session.plan().measures)) {
    const std::string where = wrong.context.empty() ? "" : ", " + wrong.context.back();
    session.host().warn("the plan's queries cannot be measured: " + wrong.message + where,
                        wrong.hint);
  }
  for (const ScanningQuery& query :
       scanning_queries(session.migration(), session.plan().measures)) {
    session.host().warn(
        fmt::format("on the new side the query `{}` reads all of {}", query.name,
                    join(query.tables, ", ")),
        "a key or an index would find its rows; of a small table it does not matter");
  }
  return analysis;
}

}  // namespace whimbrel
