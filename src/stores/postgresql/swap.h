// The exchange of old tables and new ones, in one transaction.
//
// The old tables and the new ones change places by SET SCHEMA, which takes indexes, constraints and
// their names along. What the catalogue binds to the old tables by number (foreign keys, views,
// triggers, rules, policies, publications, statistics, sequences, rights, comments) is made anew
// from the catalogue's own text, which names tables and so means the new ones afterwards. Where
// that text then says more, casts to the new types above all, the way back takes the text of
// before.
#pragma once

#include "stores/postgresql/hold.h"
#include "stores/postgresql/retype.h"

namespace whimbrel::postgresql {

// Only for a look whether it would go well: everything is rolled back.
enum class SwapFor { good, a_look };
// Takes the strongest lock of all tables concerned on the way. Foreign keys come without having
// been looked at; settle_after_swap() does that afterwards.
// Where somebody who has read and waits to write keeps that lock from being had, everybody is let
// go in between; see catching_up.h.
Status swap_tables(Hold& hold, const std::vector<RetypedPair>& pairs, bool back, SwapFor how);
// Lets everybody read and write meanwhile. Materialised views that the exchange left empty are
// filled as well. The session's statements must be allowed to take as long as they do.
// `sources`: the old tables whose exchange it was; what other migrations have left stays theirs.
Status settle_after_swap(Connection& connection, const std::vector<std::string>& sources);

// Whether something is left for settle_after_swap(), of whatever exchange.
Result<bool> has_to_settle(Connection& connection);

}  // namespace whimbrel::postgresql
