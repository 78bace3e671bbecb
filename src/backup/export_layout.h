// Where an archive in a store's own format has its files, as DynamoDB's Export to S3 lays them out
// (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html), so
// that its Import from S3 and whatever else reads exports can read it.
//
// Of what an export says, it says only what is known here: no ARN, and no etag, which for an object
// that was sent in parts only S3 knows.
#pragma once

#include <cstdint>
#include <string>

#include "backup/depot.h"
#include "base/clock.h"
#include "base/error.h"

namespace whimbrel {

// `stem`: of the table, see file_stem_of().
std::string export_file_of(const std::string& stem);

struct ExportFacts {
  std::string stem;
  std::string format;  // "DYNAMODB_JSON"
  std::int64_t rows = 0;
  std::string md5;  // of the file, in Base64
  TimePoint begun;
  TimePoint ended;
};
// Its two manifests, when the file is there.
Status write_export_manifests(Depot& depot, const ExportFacts& facts);

}  // namespace whimbrel
