#include "backup/export_layout.h"

#include <nlohmann/json.hpp>

namespace whimbrel {

namespace {

std::string folder_of(const std::string& stem) { return "AWSDynamoDB/" + stem + "/"; }

}  // namespace

std::string export_file_of(const std::string& stem) {
  return folder_of(stem) + "data/items.json.gz";
}

Status write_export_manifests(Depot& depot, const ExportFacts& facts) {
  using Document = nlohmann::ordered_json;
  const std::string files = folder_of(facts.stem) + "manifest-files.json";
  const Document file = {{"itemCount", facts.rows},
                         {"md5Checksum", facts.md5},
                         {"dataFileS3Key", depot.key_of(export_file_of(facts.stem))}};
  TRY(depot.write_whole(files, file.dump() + "\n"));
  const std::string own_key = depot.key_of("");
  Document summary = {{"version", "2020-06-30"},
                      {"startTime", to_iso8601(facts.begun)},
                      {"endTime", to_iso8601(facts.ended)},
                      {"exportTime", to_iso8601(facts.begun)},
                      {"s3Bucket", depot.bucket()},
                      {"s3Prefix", own_key.substr(0, own_key.find_last_not_of('/') + 1)},
                      {"manifestFilesS3Key", depot.key_of(files)},
                      {"itemCount", facts.rows},
                      {"outputFormat", facts.format},
                      {"exportType", "FULL_EXPORT"}};
  if (depot.bucket().empty()) summary["s3Bucket"] = nullptr;
  TRY(depot.write_whole(folder_of(facts.stem) + "manifest-summary.json", summary.dump() + "\n"));
  return {};
}

}  // namespace whimbrel
