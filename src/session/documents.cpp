#include "session/documents.h"

#include "report/files.h"
#include "report/id_mappings.h"
#include "report/json_text.h"
#include "report/status.h"

namespace whimbrel {

ReportWanted report_wanted(Session& session, nlohmann::json plan) {
  ReportWanted wanted;
  const Result<std::string> folder = session.state_folder(true);
  if (folder.ok()) wanted.folder = folder.value();
  wanted.plan_file = std::move(plan);
  wanted.plan = session.settings().plan;
  wanted.state_option = session.settings().state;
  wanted.redact = session.settings().redact;
  wanted.now = session.clock().now();
  return wanted;
}

Status write_reports(const Journal& journal, const ReportFacts& facts) {
  const Result<std::string> report = write_report_files(journal, facts);
  if (!report.ok()) return report.error();
  if (!facts.started()) return {};
  ASSIGN_OR_RETURN(const nlohmann::json checkpoint,
                   checkpoint_document(journal, facts.wanted.folder, facts.wanted.now));
  const Result<std::string> written = write_stamped(facts.wanted.folder, "checkpoint", "json",
                                                    document_text(checkpoint), facts.wanted.now);
  return written.ok() ? Status() : Status(written.error());
}

Status write_documents(Session& session) {
  const Result<std::string> folder = session.state_folder(false);
  if (!folder.ok()) return folder.error();
  const nlohmann::json plan = nlohmann::json::parse(session.plan().resolved, nullptr, false);
  ASSIGN_OR_RETURN(const ReportFacts facts,
                   gather(session.journal(), report_wanted(session, plan)));
  TRY(write_id_mappings(folder.value(), session.migration()));
  return write_reports(session.journal(), facts);
}

}  // namespace whimbrel
