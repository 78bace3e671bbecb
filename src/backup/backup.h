// Tables as files in a folder or a bucket, and back: what is left when everything else went wrong.
//
// Per table `<name>.rows.zst` (a line a row: the canonical form in hex) and `<name>.schema.json`;
// at last `manifest.json` with row counts, fingerprints and a digest of each file. The manifest is
// what makes a backup, so one that was interrupted is none. Memory is bounded by a batch of rows.
//
// Rows are read in chunks by key, each as it is at that moment: a backup of tables that are being
// written is not of one moment, unless the caller holds the writes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/events.h"
#include "store/store.h"

namespace whimbrel {

struct BackedUpTable {
  std::string table;
  std::int64_t rows = 0;
  std::string fingerprint;  // Fingerprint::to_text() over the rows with all columns
  std::string file;         // of the rows, inside the folder
  std::string file_digest;  // SHA-256 of that file's bytes
};

// `place`: see depot.h. Makes the folder where it is missing; a half-finished backup in it is
// overwritten, a table named twice is backed up once. Emits table_backed_up {table, rows}. The
// store is only read. Errors: not_found for a table that is not there; `refused` when it holds a
// complete backup, and for tables without a key or with a null in it, by name.
Result<std::vector<BackedUpTable>> take_backup(Store& store, const std::vector<std::string>& tables,
                                               const std::string& place, Events& events);

// Whether a complete one lies there, by its manifest.
Result<bool> has_backup(const std::string& place);

// Reads every file again and compares it with the manifest. not_found when there is no complete
// backup or a file is missing; data_mismatch for a file that is not the one that was written.
// `store`: one of the kind that the backup is from.
Status verify_backup(const std::string& place, const Store& store);

// Brings back all tables of the backup. Everything is verified and looked at before the first
// change; indexes and triggers are made after the rows, so that no trigger fires for them. After an
// interruption it goes on where it was, and what is complete already is left alone.
// Emits table_restored {table, rows, written}.
// Errors: as verify_backup; `refused` when a table there has another shape, holds a row that the
// backup does not have or has otherwise, or has triggers that would fire, and nothing was changed;
// `conflict` when somebody writes the tables meanwhile; data_mismatch when the restored rows are
// not those of the backup.
Result<std::vector<BackedUpTable>> restore_backup(const std::string& place, Store& store,
                                                  Events& events);

}  // namespace whimbrel
