// Feeds: which keys were written, by the tables' streams.
//
// Only keys are taken from a record, and the row is read anew when it is carried over; so neither
// the order of shards nor a record that is read twice matters, and any kind of stream will do,
// also one that others use. What must not happen is that a record is missed: a shard that goes away
// before it was read to its end, or a stream that was not read for a day, is a lost position.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "stores/dynamodb/dynamodb_store.h"
#include "stores/dynamodb/item.h"
#include "stores/dynamodb/rows.h"

namespace whimbrel {

using dynamodb::FollowedTable;
using dynamodb::ShardPlace;
using nlohmann::json;

namespace {

constexpr std::int64_t records_max = 1000;
constexpr std::int64_t full_page_bytes = 900'000;  // a page ends at about 1 MB as well
constexpr Milliseconds memory_of_a_stream{24 * 3'600'000};
constexpr Milliseconds shards_age_max{5'000};
constexpr Milliseconds between_listings{200};  // the service takes ten a second
constexpr Milliseconds doubt_max{15'000};  // how long the parent of a listed shard may be missing
// A page that is not full may be the end, or only a gap between two blocks of the service: the
// second one after this says which.
constexpr Milliseconds between_looks{250};
// A stream that others use has no end; this long after the call nothing is on its way any more.
constexpr Milliseconds on_its_way_max{20'000};
// Streams begun by others are read from before the feed; what is much older was copied anyway.
constexpr std::int64_t older_s = 300;

Error lost(const std::string& table, const std::string& why) {
  return Error{
      ErrorCode::position_lost,
      fmt::format("changes of {} are lost: {}", table, why),
      "give the same command again: every row of both tables is compared then, and what differs is "
      "carried over",
      "nothing was skipped in silence; both tables keep their rows",
      {},
      ""};
}

bool is_behind_the_horizon(const aws::Reply& reply) {
  return reply.error == "TrimmedDataAccessException" || reply.error == "ResourceNotFoundException";
}

// Asks for the place behind what was read of a shard.
aws::Call iterator_at(const FollowedTable& table, const ShardPlace& place) {
  json request = {{"StreamArn", table.stream}, {"ShardId", place.shard}};
  request["ShardIteratorType"] = place.sequence.empty() ? "TRIM_HORIZON" : "AFTER_SEQUENCE_NUMBER";
  if (!place.sequence.empty()) request["SequenceNumber"] = place.sequence;
  return {"GetShardIterator", request.dump()};
}

std::int64_t now_ms(Clock& clock) { return clock.now().time_since_epoch().count(); }

Milliseconds unread(const FollowedTable& about, std::int64_t now) {
  return Milliseconds(now - std::max(about.read_at_ms, about.since_ms));
}

// The stream of what DescribeTable says; "" where there is none.
std::string stream_of(const json& table) {
  const json about = table.value("StreamSpecification", json::object());
  return about.value("StreamEnabled", false) ? table.value("LatestStreamArn", "") : "";
}

Error no_links() {
  return Error{ErrorCode::refused, "DynamoDB has no triggers that could keep two tables equal",
               "say `sync: capture`"};
}

}  // namespace

Status DynamoStore::set_stream(const std::string& table, bool enabled) {
  json stream = {{"StreamEnabled", enabled}};
  if (enabled) stream["StreamViewType"] = "NEW_AND_OLD_IMAGES";
  TRY(bring_about("UpdateTable", {{"TableName", table}, {"StreamSpecification", stream}},
                  [&](const Result<json>& there) {
                    return there.ok() && stream_of(there.value()).empty() != enabled;
                  }));
  return wait_until_active(table);
}

Result<std::string> DynamoStore::start(const std::string& feed,
                                       const std::vector<std::string>& tables) {
  ASSIGN_OR_RETURN(Spool* const spool, need_spool());
  ASSIGN_OR_RETURN(const std::vector<FollowedTable> known, spool->followed(feed));
  for (const std::string& table : tables) {
    const auto it = std::ranges::find(known, table, &FollowedTable::table);
    FollowedTable about;
    about.table = table;
    if (it != known.end()) about = *it;
    ASSIGN_OR_RETURN(json there, describe_table(table));
    const std::string stream = stream_of(there);
    const bool is_fresh = unread(about, now_ms(clock_)) <= memory_of_a_stream;
    if (!stream.empty() && about.stream == stream && is_fresh) continue;
    const bool is_another = !about.stream.empty() && about.stream != stream;
    if (is_another || !is_fresh) {  // mended: it tells what is written from now on
      about.since_ms = now_ms(clock_);
      about.read_at_ms = 0;
    }
    about.made_by_us = stream.empty() || (about.made_by_us && !is_another);
    // Whose stream it is has to be known before it is made: a crash in between must not leave it.
    about.stream = "";
    TRY(spool->follow(feed, about));
    if (!stream.empty()) {
      about.stream = stream;
      TRY(spool->follow(feed, about));
      continue;
    }
    TRY(set_stream(table, true));
    ASSIGN_OR_RETURN(there, describe_table(table));
    about.stream = there.value("LatestStreamArn", "");
    TRY(spool->follow(feed, about));
  }
  const std::lock_guard lock(mutex_);
  feeds_.erase(feed);
  return std::string("0");
}

Status DynamoStore::stop(const std::string& feed) {
  ASSIGN_OR_RETURN(Spool* const spool, need_spool());
  {
    const std::lock_guard lock(mutex_);
    feeds_.erase(feed);
  }
  ASSIGN_OR_RETURN(const std::vector<FollowedTable> known, spool->followed(feed));
  for (const FollowedTable& one : known) TRY(switch_off(feed, one));
  return spool->forget(feed);
}

// A stream that is ours alone is switched off: then its shards have an end that can be read.
Status DynamoStore::end(const std::string& feed) {
  ASSIGN_OR_RETURN(Spool* const spool, need_spool());
  {
    const std::lock_guard lock(mutex_);
    feeds_.erase(feed);
  }
  ASSIGN_OR_RETURN(const std::vector<FollowedTable> known, spool->followed(feed));
  for (const FollowedTable& one : known) {
    // First: whoever comes after a crash knows by it that the stream was not switched off by
    // others.
    TRY(spool->end(feed, one, now_ms(clock_)));
    TRY(switch_off(feed, one));
  }
  return {};
}

Status DynamoStore::switch_off(const std::string& feed, const FollowedTable& followed) {
  if (!followed.made_by_us) return {};
  ASSIGN_OR_RETURN(const bool others, spool_->hand_over(feed, followed.table));
  if (others) return {};
  const Result<json> there = describe_table(followed.table);
  if (!there.ok() && there.error().code == ErrorCode::not_found) return {};
  if (!there.ok()) return there.error();
  const std::string stream = stream_of(there.value());
  const bool is_another = !followed.stream.empty() && followed.stream != stream;
  return stream.empty() || is_another ? Status() : set_stream(followed.table, false);
}

Result<bool> DynamoStore::feed_is_whole(const std::string& feed,
                                        const std::vector<std::string>& tables) {
  ASSIGN_OR_RETURN(Spool* const spool, need_spool());
  ASSIGN_OR_RETURN(const std::vector<FollowedTable> known, spool->followed(feed));
  for (const std::string& table : tables) {
    const auto it = std::ranges::find(known, table, &FollowedTable::table);
    if (it == known.end() || it->stream.empty()) return false;
    ASSIGN_OR_RETURN(const json there, describe_table(table));
    if (stream_of(there) != it->stream && it->ended_ms == 0) return false;
    if (unread(*it, now_ms(clock_)) > memory_of_a_stream) return false;
    ASSIGN_OR_RETURN(const bool reaches_back, reaches_back_to_places(feed, *it));
    if (!reaches_back) return false;
  }
  return true;
}

Result<bool> DynamoStore::reaches_back_to_places(const std::string& feed,
                                                 const FollowedTable& table) {
  ASSIGN_OR_RETURN(const std::vector<ShardPlace> places, spool_->shards(feed, table.table));
  std::vector<aws::Call> calls;
  for (const ShardPlace& place : places) {
    if (!place.ended) calls.push_back(iterator_at(table, place));
  }
  aws::Client client(access_, aws::streams_service(), clock_);
  for (const Result<aws::Reply>& reply : client.send(calls)) {
    if (!reply.ok()) return reply.error();
    if (is_behind_the_horizon(reply.value())) return false;
    if (!reply.value().ok()) return client.to_error(reply.value(), "GetShardIterator");
  }
  return true;
}

Result<std::shared_ptr<DynamoStore::Feed>> DynamoStore::open_feed(const std::string& feed) {
  ASSIGN_OR_RETURN(Spool* const spool, need_spool());
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = feeds_.find(feed); it != feeds_.end()) return it->second;
  }
  ASSIGN_OR_RETURN(const std::vector<FollowedTable> tables, spool->followed(feed));
  if (tables.empty()) {
    return Error{ErrorCode::position_lost, "nothing is known of the feed " + feed};
  }
  auto open = std::make_shared<Feed>();
  open->client = std::make_unique<aws::Client>(access_, aws::streams_service(), clock_);
  for (const FollowedTable& about : tables) {
    Followed& table = open->tables[about.table];
    table.about = about;
    ASSIGN_OR_RETURN(const TableSchema schema, describe(about.table));
    table.key = schema.key;
    ASSIGN_OR_RETURN(const std::vector<ShardPlace> places, spool->shards(feed, about.table));
    for (const ShardPlace& place : places) table.places[place.shard] = place;
  }
  const std::lock_guard lock(mutex_);
  return feeds_.emplace(feed, std::move(open)).first->second;
}

Status DynamoStore::list_shards(Feed& feed, Followed& table) {
  const Milliseconds now = clock_.monotonic();
  const Milliseconds age_max = table.listed ? shards_age_max : between_listings;
  if (table.listed_at && now - *table.listed_at < age_max) return {};
  std::map<std::string, std::string> parents;  // of all that are listed
  bool is_written = true;
  json request = {{"StreamArn", table.about.stream}};
  while (true) {
    ASSIGN_OR_RETURN(const aws::Reply reply,
                     feed.client->send_one({"DescribeStream", request.dump()}));
    if (reply.error == "ResourceNotFoundException") {
      return lost(table.about.table, "its stream is gone");
    }
    if (!reply.ok()) return feed.client->to_error(reply, "DescribeStream");
    const json body = json::parse(reply.body, nullptr, false);
    const json description = body.value("StreamDescription", json::object());
    const std::string status = description.value("StreamStatus", "");
    is_written = status != "DISABLED" && status != "DISABLING";
    for (const json& shard : description.value("Shards", json::array())) {
      parents[shard.value("ShardId", "")] = shard.value("ParentShardId", "");
    }
    const std::string last = description.value("LastEvaluatedShardId", "");
    if (last.empty()) break;
    request["ExclusiveStartShardId"] = last;
  }
  // A listing may be of a moment in which shards part, and lack one that is there again at the next
  // look. Whether a known shard is gone is told by reading it; of one that was never seen its
  // children tell, and they wait for it.
  bool is_whole = true;
  const bool is_first = table.places.empty();
  for (const auto& [id, parent] : parents) {
    if (table.places.contains(id)) continue;
    const bool may_be_read =
        is_first || parent.empty() || table.places.contains(parent) || parents.contains(parent);
    is_whole = is_whole && may_be_read;
    if (may_be_read) table.places[id] = {id, parent, "", false};
  }
  if (is_whole) table.in_doubt_since.reset();
  if (!is_whole && !table.in_doubt_since) table.in_doubt_since = now;
  if (!is_whole && now - *table.in_doubt_since > doubt_max) {
    return lost(table.about.table, "a part of its stream went before it was read");
  }
  // Something follows a shard that has ended, as long as the table writes to its stream.
  std::set<std::string> continued;
  for (const auto& [id, place] : table.places) continued.insert(place.parent);
  const bool leads_on = std::ranges::all_of(table.places, [&](const auto& one) {
    return !one.second.ended || !is_written || continued.contains(one.first);
  });
  // A young stream may not say yet what it has.
  table.listed = is_whole && leads_on && !table.places.empty();
  table.listed_at = now;
  return {};
}

Status DynamoStore::open_iterators(Feed& feed, Followed& table) {
  std::vector<aws::Call> calls;
  std::vector<std::string> of;
  for (const auto& [id, place] : table.places) {
    if (place.ended || (table.open.contains(id) && !table.open[id].iterator.empty())) continue;
    calls.push_back(iterator_at(table.about, place));
    of.push_back(id);
  }
  std::vector<Result<aws::Reply>> replies = feed.client->send(calls);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!replies[i].ok()) return std::move(replies[i]).error();
    const aws::Reply& reply = replies[i].value();
    if (is_behind_the_horizon(reply)) {
      return lost(table.about.table, "the stream no longer reaches back to where it was read");
    }
    if (!reply.ok()) return feed.client->to_error(reply, "GetShardIterator");
    const json body = json::parse(reply.body, nullptr, false);
    table.open[of[i]].iterator = body.value("ShardIterator", "");
  }
  return {};
}

// What GetRecords said of a shard. True when it is at its end for now.
Result<bool> DynamoStore::absorb(const aws::Reply& reply, const Feed& feed, const Followed& table,
                                 std::int64_t looked_ms, ShardPlace& place, OpenShard& shard,
                                 Spool::Progress& progress) {
  // An iterator lives a quarter of an hour; on a young table the trim horizon may move beneath it.
  const bool stale = reply.error == "ExpiredIteratorException" ||
                     (reply.error == "TrimmedDataAccessException" && place.sequence.empty());
  if (stale) {
    shard = {};
    return false;
  }
  if (is_behind_the_horizon(reply)) {
    return lost(table.about.table, "the stream no longer reaches back to where it was read");
  }
  if (!reply.ok()) return feed.client->to_error(reply, "GetRecords");
  ASSIGN_OR_RETURN(const dynamodb::RecordPage page, dynamodb::records_of(reply.body, table.key));
  for (const dynamodb::StreamRecord& record : page.records) {
    place.sequence = record.sequence;
    if (record.created_s > 0 && record.created_s < table.about.since_ms / 1000 - older_s) continue;
    progress.changes.emplace_back(record.key, record.removal);
  }
  shard.iterator = page.next_iterator;
  place.ended = page.next_iterator.empty();
  progress.shards.push_back(place);
  const bool full =
      std::ssize(page.records) >= records_max || std::ssize(reply.body) >= full_page_bytes;
  // Where stamps are whole minutes they say little.
  const std::int64_t newest = page.records.empty() ? 0 : page.records.back().created_s;
  const bool is_old = newest > 0 && newest % 60 != 0 && newest < looked_ms / 1000 - 2;
  if (full || is_old) {
    shard.empty_pages = 0;
    return false;
  }
  if (++shard.empty_pages == 1) shard.empty_since = clock_.monotonic();
  return !place.ended && shard.empty_pages >= 2 &&
         clock_.monotonic() - shard.empty_since >= between_looks;
}

// One look at each open shard of a table. True when each of them is at its end.
Result<bool> DynamoStore::take_in(const std::string& name, Feed& feed, Followed& table) {
  const std::int64_t looked_ms = now_ms(clock_);
  const Milliseconds unread_for = unread(table.about, looked_ms);
  if (unread_for > memory_of_a_stream) {
    return lost(table.about.table,
                fmt::format("a stream remembers 24 h, and it was not read for {}",
                            to_duration_text(unread_for)));
  }
  TRY(list_shards(feed, table));
  TRY(open_iterators(feed, table));
  std::vector<aws::Call> calls;
  std::vector<std::string> of;
  for (const auto& [id, shard] : table.open) {
    if (table.places[id].ended || shard.iterator.empty()) continue;
    calls.push_back(
        {"GetRecords", json({{"ShardIterator", shard.iterator}, {"Limit", records_max}}).dump()});
    of.push_back(id);
  }
  std::vector<Result<aws::Reply>> replies = feed.client->send(calls);
  Spool::Progress progress;
  progress.table = table.about.table;
  bool at_end = table.listed;
  std::map<std::string, ShardPlace> places = table.places;
  std::map<std::string, OpenShard> open = table.open;
  bool ends_one = false;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!replies[i].ok()) return std::move(replies[i]).error();
    ShardPlace& place = places[of[i]];
    ASSIGN_OR_RETURN(const bool shard_at_end, absorb(replies[i].value(), feed, table, looked_ms,
                                                     place, open[of[i]], progress));
    at_end = at_end && shard_at_end;
    ends_one = ends_one || place.ended;
  }
  // An open shard that is empty may only be slow to tell.
  const bool may_follow =
      std::ranges::any_of(places, [](const auto& one) { return !one.second.ended; });
  const Milliseconds since_end(looked_ms - table.about.ended_ms);
  if (table.about.ended_ms > 0 && may_follow && since_end < on_its_way_max) at_end = false;
  if (at_end) progress.read_at_ms = looked_ms;
  TRY(spool_->keep(name, progress));
  // Only what is kept counts.
  table.places = std::move(places);
  table.open = std::move(open);
  if (at_end) table.about.read_at_ms = looked_ms;
  if (ends_one) table.listed = false;  // it has children by now
  return at_end;
}

// What a feed has lost stays lost for whoever comes next, until it is begun anew.
Result<bool> DynamoStore::look_at(const std::string& name, Feed& feed, Followed& table) {
  Result<bool> looked = take_in(name, feed, table);
  if (looked.ok()) return looked;
  if (looked.error().code == ErrorCode::position_lost) {
    FollowedTable forgotten = table.about;
    forgotten.stream = "";
    TRY(spool_->follow(name, forgotten));
  }
  return std::move(looked).error().within("reading the stream of " + table.about.table);
}

Result<bool> DynamoStore::take_in_all(const std::string& name, Feed& feed) {
  constexpr int looks_max = 40;
  for (auto& [table_name, table] : feed.tables) {
    for (auto& [id, shard] : table.open) shard.empty_pages = 0;
  }
  for (int look = 0; look < looks_max; ++look) {
    bool at_end = true;
    for (auto& [table_name, table] : feed.tables) {
      ASSIGN_OR_RETURN(const bool ended, look_at(name, feed, table));
      at_end = at_end && ended;
    }
    if (at_end) return true;
    clock_.sleep_for(between_looks / 4);
  }
  return false;
}

Status DynamoStore::listen(const std::string& name) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Feed> feed, open_feed(name));
  const std::lock_guard lock(feed->mutex);
  for (auto& [table_name, table] : feed->tables) {
    TRY(look_at(name, *feed, table));
  }
  return {};
}

Result<ChangeBatch> DynamoStore::read(const std::string& name, const std::string& position,
                                      std::int64_t changes_max) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Feed> feed, open_feed(name));
  const std::lock_guard lock(feed->mutex);
  const std::int64_t after = position.empty() ? 0 : std::stoll(position);
  ASSIGN_OR_RETURN(auto changes, spool_->changes(name, after, changes_max));
  bool at_end = false;
  if (std::ssize(changes) < changes_max) {
    ASSIGN_OR_RETURN(at_end, take_in_all(name, *feed));
    ASSIGN_OR_RETURN(changes, spool_->changes(name, after, changes_max));
  }
  ChangeBatch batch;
  batch.position = position;
  for (auto& change : changes) {
    batch.position = fmt::format("{}", change.id);
    batch.changes.push_back({change.table, std::move(change.key), false,
                             change.removal != dynamodb::Removal::none,
                             change.removal == dynamodb::Removal::by_time});
  }
  batch.at_end = at_end && std::ssize(changes) < changes_max;
  TRY(mark_own(batch.changes));
  return batch;
}

Result<std::int64_t> DynamoStore::waiting(const std::string& name, const std::string& position) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Feed> feed, open_feed(name));
  const std::lock_guard lock(feed->mutex);
  TRY(take_in_all(name, *feed));
  return spool_->count_after(name, position.empty() ? 0 : std::stoll(position));
}

// A change is ours when the item is still what we wrote last. The application may have written the
// same: then there is nothing to carry. Once it has written something else, what we wrote says
// nothing any more.
Status DynamoStore::mark_own(std::vector<KeyChange>& changes) {
  std::map<std::string, std::set<Row, RowLess>> keys;
  for (const KeyChange& change : changes) keys[change.table].insert(change.key);
  for (const auto& [table, set] : keys) {
    const std::vector<Row> list(set.begin(), set.end());
    ASSIGN_OR_RETURN(const auto digests, spool_->own(table, list));
    std::map<Row, std::vector<std::string>, RowLess> noted;
    std::vector<Row> asked;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (digests[i].empty()) continue;
      noted.emplace(list[i], digests[i]);
      asked.push_back(list[i]);
    }
    if (asked.empty()) continue;
    ASSIGN_OR_RETURN(const TableSchema schema, describe(table));
    ASSIGN_OR_RETURN(const auto reader, open_reader(schema));
    ASSIGN_OR_RETURN(const auto rows, reader->read_keys(asked));
    std::set<Row, RowLess> own;
    std::vector<Row> others;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const std::string now = rows[i] ? dynamodb::item_digest(schema, *rows[i]) : "";
      if (std::ranges::count(noted[asked[i]], now) > 0) {
        own.insert(asked[i]);
      } else {
        others.push_back(asked[i]);
      }
    }
    for (KeyChange& change : changes)
      change.own = change.own || (change.table == table && own.contains(change.key));
    if (!others.empty()) TRY(spool_->forget_own(table, others));
  }
  return {};
}

Status DynamoStore::link(const std::vector<Link>&) { return no_links(); }
Result<bool> DynamoStore::links_are_whole(const std::vector<Link>&) { return no_links(); }
Result<OtherUse> DynamoStore::used_by_others(const Link&) { return OtherUse{}; }
Status DynamoStore::unlink(const std::vector<Link>&, PairSink&) { return no_links(); }
Status DynamoStore::cut(const std::vector<Link>&) { return no_links(); }
Result<std::vector<Row>> DynamoStore::written_on_new_side(const Link&) { return no_links(); }

Result<bool> DynamoStore::put_back(const Link& link, const Row& target_row,
                                   const std::vector<std::pair<std::string, Value>>& columns) {
  return put_back_by_writing(*this, *link.mapping, target_row, columns);
}

namespace {
Error no_holds() {
  return Error{ErrorCode::refused, "DynamoDB cannot hold the writers of a table",
               "say `cutover: {hold: none}`: late writes are carried over until it is quiet"};
}
}  // namespace

Status DynamoStore::hold(const std::vector<std::string>&, TimePoint) { return no_holds(); }
Result<bool> DynamoStore::held(const std::vector<std::string>&) { return false; }
Status DynamoStore::release(const std::vector<std::string>&) { return {}; }

}  // namespace whimbrel
