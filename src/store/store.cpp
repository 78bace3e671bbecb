// The contract is nearly all interfaces; what a store need not be able to do is refused here.
#include "store/store.h"

namespace whimbrel {

namespace {

Error cannot_measure() {
  return Error{ErrorCode::refused, "this store runs no queries of an application",
               "measure with the application's own tools", "nothing was changed"};
}

}  // namespace

Result<std::unique_ptr<QueryRunner>> Store::open_queries(const std::vector<ReadingQuery>&,
                                                         Milliseconds) {
  return cannot_measure();
}

Result<std::unique_ptr<WriteProbe>> Store::open_write_probe(const TableSchema&, Milliseconds) {
  return cannot_measure();
}

Result<RoomTaken> Store::room_taken(const TableSchema&) { return cannot_measure(); }

}  // namespace whimbrel
