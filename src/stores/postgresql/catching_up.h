// What is written between the last look at the notes and the exchange of the tables, carried over
// in the transaction of the exchange.
//
// Writers are held by a lock that lets everybody read. Whoever has read a table before, and waits
// to write it, keeps the stronger lock of the exchange from being had: where an application does
// that all the time nobody would ever get it. So everybody is let go, the strongest lock is asked
// for from nothing (the server puts those first who have read already), and the few rows that were
// written in between are carried over by the server itself.
#pragma once

#include "stores/postgresql/retype.h"

namespace whimbrel::postgresql {

// Rows of the tables that go which were noted since `snapshot`, into those that come. Nothing that
// was noted before it waits any more. False where that is not to be done so: columns become what no
// cast makes of them, a value does not come back as it was, or there are too many rows; then the
// transaction is good for nothing but to be rolled back. It is open, and holds both tables.
Result<bool> catch_up(Connection& connection, const std::vector<RetypedPair>& pairs, bool back,
                      const std::string& snapshot);

}  // namespace whimbrel::postgresql
