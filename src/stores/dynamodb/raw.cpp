// Copies whole items by the JSON that they came in.
//
// Nothing is parsed but the frame of a reply, and what a plan computes of: that is where the speed
// is.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

#include "stores/dynamodb/batch_sender.h"
#include "stores/dynamodb/item.h"
#include "stores/dynamodb/rows.h"
#include "stores/dynamodb/segments.h"
#include "stores/dynamodb/splice.h"

namespace whimbrel::dynamodb {

namespace {

namespace ondemand = simdjson::ondemand;

struct RawPage {
  std::int64_t items = 0;
  std::int64_t bytes = 0;
  std::string last_key;  // JSON; "": the segment's end
  double capacity = 0;
};

class RawCopier final : public InsideCopier {
 public:
  RawCopier(DynamoStore& store, DynamoStore& source, const Mapping& mapping)
      : store_(store),
        mapping_(mapping),
        splicer_(mapping_, store.catalog()),
        read_pace_(source.pace(mapping.source.name, false)),
        write_pace_(store.pace(mapping.target.name, true)),
        reading_(source.connect(&read_pace_)),
        writing_(store.connect(&write_pace_)),
        rows_(make_reader(source, mapping.source)) {}

  Result<InsideCopy> copy_after(const std::optional<Row>& after,
                                const ChunkLimits& limits) override {
    Segments segments(after);
    // A request for less pays for what it does not read, where the pace allows little.
    const std::int64_t worth_asking = read_pace_.items_max(1'000'000) / items_worth_a_request;
    const auto scans_max = static_cast<std::size_t>(std::clamp<std::int64_t>(
        std::min(limits.rows_max, worth_asking), 1, std::int64_t{scans_at_once}));
    const std::vector<std::size_t> scanned = segments.open(scans_max);
    InsideCopy copy;
    if (scanned.empty()) return copy;
    read_pace_.wait();
    const std::int64_t each =
        std::max<std::int64_t>(read_pace_.items_max(limits.rows_max) / std::ssize(scanned), 1);
    std::vector<aws::Call> calls;
    for (const std::size_t segment : scanned) {
      calls.push_back(
          {"Scan", fmt::format(R"({{"TableName":{},"ConsistentRead":true,"Limit":{},)"
                               R"("ReturnConsumedCapacity":"TOTAL",{}}})",
                               in_quotes(mapping_.source.name), each, segments.members(segment))});
    }
    std::vector<Result<aws::Reply>> replies = reading_->send(calls);
    BatchSender batch(*writing_, write_pace_, store_.clock(), mapping_.target);
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (!replies[i].ok()) return std::move(replies[i]).error();
      if (!replies[i].value().ok()) return reading_->to_error(replies[i].value(), "Scan");
      ASSIGN_OR_RETURN(const RawPage page, put_all(replies[i].value().body, batch));
      read_pace_.pay({page.capacity}, page.items);
      copy.read += page.items;
      copy.bytes += page.bytes;
      segments.go_on_from(scanned[i], page.last_key);
    }
    copy.written = copy.read;
    TRY(batch.flush());
    copy.range.through = segments.position();
    return copy;
  }

  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    return rows_->read_after(after, limits);
  }
  Status make_durable() override { return {}; }  // a reply says that it is

  Result<InsideComparison> compare_after(const std::optional<Row>&, const std::optional<Row>&,
                                         const ChunkLimits&) override {
    return Error{ErrorCode::internal, "items are compared as rows"};
  }
  Result<std::optional<Row>> middle() override { return std::optional<Row>(); }
  Result<std::optional<InsideStrangers>> strangers_after(const std::optional<Row>&,
                                                         const ChunkLimits&) override {
    return std::optional<InsideStrangers>();
  }

 private:
  Result<RawPage> put_all(std::string& body, BatchSender& batch) {
    RawPage page;
    body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
    try {  // the library's own way to say that a reply is no JSON
      ondemand::document document = parser_.iterate(body.data(), body.size(), body.capacity());
      for (auto field : document.get_object()) {
        const std::string_view name = field.unescaped_key();
        if (name == "Items") {
          for (ondemand::object item : field.value().get_array()) {
            std::string request = "{\"PutRequest\":{\"Item\":";
            TRY(splicer_.append(item, request));
            page.bytes += std::ssize(request);
            request += "}}";
            batch.add(std::move(request), nullptr);
            ++page.items;
          }
        } else if (name == "LastEvaluatedKey") {
          ondemand::object key = field.value().get_object();
          page.last_key = std::string(std::string_view(key.raw_json()));
        } else if (name == "ConsumedCapacity") {
          for (auto part : field.value().get_object()) {
            if (std::string_view(part.unescaped_key()) == "CapacityUnits") {
              page.capacity = part.value().get_double();
            }
          }
        }
      }
    } catch (const simdjson::simdjson_error& failure) {
      return Error{ErrorCode::unavailable,
                   std::string("a reply cannot be read: ") + failure.what()};
    }
    return page;
  }

  DynamoStore& store_;
  const Mapping mapping_;
  ItemSplicer splicer_;
  Pace& read_pace_;
  Pace& write_pace_;
  std::unique_ptr<aws::Client> reading_;
  std::unique_ptr<aws::Client> writing_;
  std::unique_ptr<SnapshotReader> rows_;
  ondemand::parser parser_;
};

}  // namespace

std::unique_ptr<InsideCopier> make_raw_copier(DynamoStore& store, DynamoStore& source,
                                              const Mapping& mapping) {
  return std::make_unique<RawCopier>(store, source, mapping);
}

}  // namespace whimbrel::dynamodb
