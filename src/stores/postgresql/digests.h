// Digests of the rows of a range, made by the server that has them.
#pragma once

#include <string>
#include <vector>

#include "store/store.h"
#include "stores/postgresql/ranges.h"

namespace whimbrel::postgresql {

// How a row is digested. The first is the server's own affair, and the next version's may be
// another one; the second is the same everywhere.
enum class DigestBy { record, md5 };

// The rows of one side, as parts of a statement.
struct Digested {
  std::string keys;  // as an array of texts
  std::string row;   // a digest of 64 bits
  std::string from;  // the table with its alias
  std::string where;
  Cells parameters;

  // count, sum and exclusive or of the digests
  std::string whole() const;
};
enum class Digests { rows, keys };  // of the columns that are written, or those of the key alone
// Of the source, through the mapping and the target's types; where server_converts().
Result<Digested> digested_source(Connection& connection, const Mapping& mapping, Ranges& ranges,
                                 const KeyRange& range, Digests of, DigestBy by);
Result<Digested> digested_target(Connection& connection, const Mapping& mapping, Ranges& ranges,
                                 const KeyRange& range, Digests of, DigestBy by);
// Of a row that `whole` has given.
Fingerprint fingerprint_of(std::span<const Cell> cells);

// Whether a range of the source's keys is the same range of the target's, and its keys are written
// alike. Where texts are in another order than the source's, digests differ and nothing is lost.
bool same_order(const Mapping& mapping);
// The same where texts that become a uuid are spelled as that.
bool same_order_as_uuids(const Mapping& mapping);

}  // namespace whimbrel::postgresql
