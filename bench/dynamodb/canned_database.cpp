#include "canned_database.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace whimbrel::canned {

Answer Database::answer(std::string_view operation, std::string_view body) {
  ++told.requests[std::string(operation)];
  if (operation == "Scan") return scan(body);
  if (operation == "BatchWriteItem") return batch_write(body);
  if (operation == "BatchGetItem") return batch_get(body);
  if (operation == "PutItem" || operation == "UpdateItem" || operation == "DeleteItem") {
    return write_one(body);
  }
  if (operation == "GetItem") return get_one(body);
  return about_tables(operation, body);
}

Answer Database::about_tables(std::string_view operation, std::string_view body) {
  if (operation == "DescribeTable") return describe(table_of(body));
  if (operation == "ListTables") {
    return whole(fmt::format(R"({{"TableNames":["{}"{}]}})", source_.name,
                             target_exists_ ? ",\"" + target_.name + "\"" : ""));
  }
  if (operation == "CreateTable") {
    target_exists_ = true;
    return described(target_, "TableDescription");
  }
  if (operation == "UpdateTable") {
    if (body.find("StreamSpecification") != std::string_view::npos) {
      streams_[table_of(body).name] =
          body.find(R"("StreamEnabled":true)") != std::string_view::npos;
    }
    return described(table_of(body), "TableDescription");
  }
  if (operation == "DescribeTimeToLive") {
    return whole(R"({"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}})");
  }
  return about_streams(operation, body);
}

Answer Database::about_streams(std::string_view operation, std::string_view body) const {
  if (operation == "DescribeStream") {
    return whole(fmt::format(
        R"({{"StreamDescription":{{"StreamArn":"{0}","StreamStatus":"ENABLED","Shards":[)"
        R"({{"ShardId":"shardId-00000000000000000001-00000001","SequenceNumberRange":)"
        R"({{"StartingSequenceNumber":"100000000000000000001"}}}}]}}}})",
        stream_of(table_of(body))));
  }
  if (operation == "GetShardIterator") return whole(R"({"ShardIterator":"next"})");
  if (operation == "GetRecords") return whole(R"({"Records":[],"NextShardIterator":"next"})");
  return refused("UnknownOperationException", operation);
}

Answer Database::tell() {
  std::string requests;
  for (const auto& [operation, count] : told.requests) {
    requests += fmt::format("{}\"{}\":{}", requests.empty() ? "" : ",", operation, count);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return whole(fmt::format(
      R"({{"requests":{{{}}},"received_bytes":{},"sent_bytes":{},"scanned":{},"written":{},)"
      R"("there":{},"cpu_s":{:.3f}}})",
      requests, told.received_bytes, told.sent_bytes, told.scanned, told.written, there_,
      seconds(usage.ru_utime) + seconds(usage.ru_stime)));
}

const Table& Database::table_of(std::string_view body) const {
  return body.find(target_.name) == std::string_view::npos ? source_ : target_;
}

bool Database::is_empty(const Table& table) const {
  return &table == &target_ && there_ < table.items->count();
}

std::string Database::start(std::string_view status, std::size_t size, std::uint32_t crc) {
  return fmt::format(
      "HTTP/1.1 {}\r\nServer: Server\r\nDate: {}\r\nContent-Type: application/x-amz-json-1.0\r\n"
      "Content-Length: {}\r\nConnection: keep-alive\r\n"
      "x-amzn-RequestId: 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEF\r\n"
      "x-amz-crc32: {}\r\n\r\n",
      status, date(), size, crc);
}

const std::string& Database::date() {
  static std::string text;
  static std::time_t of = 0;
  const std::time_t now = std::time(nullptr);
  if (now != of) {
    std::array<char, 64> room{};
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::strftime(room.data(), room.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    text = room.data();
    of = now;
  }
  return text;
}

Answer Database::whole(const std::string& body, std::string_view status) {
  return {start(status, body.size(), crc_of(body)) + body, {}, ""};
}

Answer Database::refused(std::string_view type, std::string_view why) {
  return whole(fmt::format(R"({{"__type":"com.amazonaws.dynamodb.v20120810#{}","message":"{}"}})",
                           type, why),
               "400 Bad Request");
}

std::string Database::consumed(const Table& table, double units) {
  return fmt::format(R"({{"TableName":"{}","CapacityUnits":{:.1f}}})", table.name, units);
}

bool Database::wants_capacity(std::string_view body) {
  constexpr std::size_t looked_at = 400;
  return body.substr(body.size() - std::min(body.size(), looked_at))
             .find("ReturnConsumedCapacity") != std::string_view::npos;
}

std::optional<std::int64_t> Database::whole_number(std::string_view body, std::string_view name) {
  std::size_t at = body.find(fmt::format("\"{}\"", name));
  if (at == std::string_view::npos) return std::nullopt;
  at = body.find_first_of("-0123456789", at + name.size() + 2);
  std::int64_t number = 0;
  if (at == std::string_view::npos) return std::nullopt;
  std::from_chars(body.data() + at, body.data() + body.size(), number);
  return number;
}

Answer Database::scan(std::string_view body) {
  const Table& table = table_of(body);
  const Items& items = *table.items;
  const std::int64_t segments = whole_number(body, "TotalSegments").value_or(1);
  const std::int64_t segment = whole_number(body, "Segment").value_or(0);
  const std::int64_t all = is_empty(table) ? 0 : items.count();
  const std::int64_t last = all * (segment + 1) / segments;
  std::int64_t begin = all * segment / segments;
  if (const std::size_t after = body.find("ExclusiveStartKey"); after != std::string_view::npos) {
    const std::size_t at = next_mark(body, after);
    const auto number = at == std::string_view::npos ? std::nullopt : number_at(body, at);
    if (!number) return refused("ValidationException", "ExclusiveStartKey");
    begin = *number + 1;
  }
  const std::int64_t most =
      std::min(whole_number(body, "Limit").value_or(items.per_page()), items.per_page());
  const std::int64_t end = std::clamp(begin + most, begin, std::max(begin, last));
  const std::int64_t found = end - begin;
  const bool counts = body.find(R"("COUNT")") != std::string_view::npos;
  told.scanned += found;
  std::string tail = counts ? "{" : "],";
  tail += fmt::format(R"("Count":{0},"ScannedCount":{0})", found);
  if (end < last) {
    tail += fmt::format(R"(,"LastEvaluatedKey":{{"id":{{"S":"{}{:010}"}}}})", key_mark, end - 1);
  }
  if (wants_capacity(body)) {
    tail += ",\"ConsumedCapacity\":" + consumed(table, static_cast<double>(found) / 13.0);
  }
  tail += '}';
  if (counts) return whole(tail);
  return sliced("{\"Items\":[", items, begin, end, tail);
}

Answer Database::sliced(const std::string& before, const Items& items, std::int64_t begin,
                        std::int64_t end, const std::string& tail) {
  const std::string_view slice = items.slice(begin, end);
  std::uint32_t crc = joined_crc(crc_of(before), items.crc(begin, end), slice.size());
  crc = joined_crc(crc, crc_of(tail), tail.size());
  return {start("200 OK", before.size() + slice.size() + tail.size(), crc) + before, {slice}, tail};
}

Answer Database::batch_get(std::string_view body) {
  const Table& table = table_of(body);
  const Items& items = *table.items;
  const std::string before = fmt::format(R"({{"Responses":{{"{}":[)", table.name);
  Answer answer;
  std::uint32_t crc = crc_of(before);
  std::size_t size = before.size();
  const auto add = [&](std::string_view slice, std::uint32_t of_slice) {
    answer.slices.push_back(slice);
    crc = joined_crc(crc, of_slice, slice.size());
    size += slice.size();
  };
  for (std::size_t at = next_mark(body, 0); at != std::string_view::npos;
       at = next_mark(body, at + 1)) {
    const auto number = number_at(body, at);
    const bool there = number && *number >= 0 && *number < items.count() &&
                       (&table == &source_ || is_there_[static_cast<std::size_t>(*number)]);
    if (!there) continue;
    if (!answer.slices.empty()) add(",", crc_of(","));
    add(items.slice(*number, *number + 1), items.crc(*number, *number + 1));
  }
  answer.tail = R"(]},"UnprocessedKeys":{})";
  if (wants_capacity(body)) {
    answer.tail += ",\"ConsumedCapacity\":[" + consumed(table, 25) + "]";
  }
  answer.tail += '}';
  crc = joined_crc(crc, crc_of(answer.tail), answer.tail.size());
  answer.head = start("200 OK", size + answer.tail.size(), crc) + before;
  return answer;
}

Answer Database::get_one(std::string_view body) {
  const Table& table = table_of(body);
  const Items& items = *table.items;
  const std::size_t at = next_mark(body, 0);
  const auto number = at == std::string_view::npos ? std::nullopt : number_at(body, at);
  const bool there = number && *number >= 0 && *number < items.count() &&
                     (&table == &source_ || is_there_[static_cast<std::size_t>(*number)]);
  if (!there) return whole("{}");
  return sliced("{\"Item\":", items, *number, *number + 1, "}");
}

std::int64_t Database::take(std::string_view body) {
  std::int64_t taken = 0;
  for (std::size_t at = next_mark(body, 0); at != std::string_view::npos;
       at = next_mark(body, at + key_mark.size())) {
    const auto number = number_at(body, at);
    if (!number) continue;
    ++taken;
    if (*number >= target_.items->count() || is_there_[static_cast<std::size_t>(*number)]) continue;
    is_there_[static_cast<std::size_t>(*number)] = true;
    ++there_;
  }
  told.written += taken;
  return taken;
}

Answer Database::batch_write(std::string_view body) {
  const std::int64_t taken = take(body);
  std::string text = R"({"UnprocessedItems":{})";
  if (wants_capacity(body)) {
    text += ",\"ConsumedCapacity\":[" + consumed(target_, static_cast<double>(taken)) + "]";
  }
  return whole(text + "}");
}

Answer Database::write_one(std::string_view body) {
  if (body.find("attribute_exists(#k) AND attribute_not_exists(#k)") != std::string_view::npos) {
    return refused("ConditionalCheckFailedException", "The conditional request failed");
  }
  take(body);
  if (const std::size_t at = next_mark(body, 0);
      at != std::string_view::npos && body.find("\"ALL_NEW\"") != std::string_view::npos) {
    const std::int64_t number =
        std::clamp<std::int64_t>(number_at(body, at).value_or(0), 0, target_.items->count() - 1);
    return sliced("{\"Attributes\":", *target_.items, number, number + 1,
                  ",\"ConsumedCapacity\":" + consumed(target_, 1) + "}");
  }
  return whole(wants_capacity(body) ? "{\"ConsumedCapacity\":" + consumed(target_, 1) + "}" : "{}");
}

std::string Database::arn_of(const Table& table) {
  return "arn:aws:dynamodb:us-east-1:000000000000:table/" + table.name;
}

std::string Database::stream_of(const Table& table) {
  return arn_of(table) + "/stream/2026-01-01T00:00:00.000";
}

Answer Database::describe(const Table& table) {
  if (&table == &target_ && !target_exists_) {
    return refused("ResourceNotFoundException", "Requested resource not found");
  }
  return described(table, "Table");
}

Answer Database::described(const Table& table, std::string_view under) {
  std::string stream;
  if (streams_[table.name]) {
    stream = fmt::format(
        R"(,"StreamSpecification":{{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}},)"
        R"("LatestStreamArn":"{}","LatestStreamLabel":"2026-01-01T00:00:00.000")",
        stream_of(table));
  }
  const std::int64_t count = is_empty(table) ? 0 : table.items->count();
  return whole(fmt::format(
      R"({{"{}":{{"TableName":"{}","TableArn":"{}","TableStatus":"ACTIVE",)"
      R"("AttributeDefinitions":[{{"AttributeName":"id","AttributeType":"S"}}],)"
      R"("KeySchema":[{{"AttributeName":"id","KeyType":"HASH"}}],)"
      R"("BillingModeSummary":{{"BillingMode":"PAY_PER_REQUEST"}},"CreationDateTime":1767225600,)"
      R"("ProvisionedThroughput":{{"ReadCapacityUnits":0,"WriteCapacityUnits":0}},)"
      R"("ItemCount":{},"TableSizeBytes":{}{}}}}})",
      under, table.name, arn_of(table), count, count * 300, stream));
}

}  // namespace whimbrel::canned
