"""One stream of DynamoDB Local, told as a lineage of shards.

DynamoDB Local writes a single shard that never ends. Here each record goes to the open shard that holds the hash of
its partition key; a shard closes after its k-th record and leaves two children that share its keys, or one. So the
graph is a function of the seed and of the records in their order, and a second proxy with the same seed tells the
same one. Nothing here reads or waits: the proxy appends what it reads from the server.

Order per key holds because a key's records lie in one shard until it closes, and then in one of its descendants.
"""
import base64
import bisect
import json

from fault_rules import Chance, error, invalid

RECORDS_PER_PAGE_MAX = 1000
BYTES_PER_PAGE_MAX = 1 << 20
SHARDS_PER_PAGE_MAX = 100
KEY_SPACE = 1 << 32


class Refused(Exception):
    """The stream's answer is this error reply."""

    def __init__(self, reply):
        super().__init__(reply.body)
        self.reply = reply


class Shard:
    def __init__(self, number, name, parent, low, high, start, records_max):
        self.number, self.name, self.parent = number, name, parent
        self.low, self.high, self.start = low, high, start
        self.records_max, self.end, self.children = records_max, None, []
        self.sequences, self.records = [], []


class VirtualStream:
    def __init__(self, seed, arn, shape, root_name, root_start, hash_attribute):
        self.seed, self.arn, self.hash_attribute = seed, arn, hash_attribute
        self.shape = shape  # None: a single shard, as the server has it.
        self.sequence_digits = len(root_start)
        self.first_number = int(root_name.split("-")[1]) if root_name.count("-") == 2 else 0
        self.trimmed_through, self.last_sequence, self.disabled = int(root_start) - 1, int(root_start) - 1, False
        self.shards, self.by_name, self.all_sequences, self.written = [], {}, [], []
        self.leaves = [self._open(root_name, None, 0, KEY_SPACE, int(root_start))]

    # What the records make of it.

    def _open(self, name, parent, low, high, start):
        most = None
        if self.shape:
            least, greatest = self.shape["records"]
            most = least + int(self._chance("records", len(self.shards)).uniform("k") * (greatest - least + 1))
        shard = Shard(len(self.shards), name, parent, low, high, start, most)
        self.shards.append(shard)
        self.by_name[name] = shard
        if parent:
            parent.children.append(shard)
        return shard

    def _chance(self, *identity):
        return Chance(self.seed, "stream", self.arn.rsplit("/stream/", 1)[0], *identity)

    def append(self, record):
        """The next record of the server's stream."""
        sequence = int(record["dynamodb"]["SequenceNumber"])
        if sequence <= self.last_sequence:
            return
        place = int(self._chance("key", json.dumps(record["dynamodb"]["Keys"][self.hash_attribute], sort_keys=True))
                    .uniform("place") * KEY_SPACE)
        leaf = bisect.bisect_right([shard.low for shard in self.leaves], place) - 1
        shard = self.leaves[leaf]
        shard.sequences.append(sequence)
        shard.records.append(json.dumps(record, separators=(",", ":")).encode())
        self.all_sequences.append(sequence)
        self.written.append(record["dynamodb"].get("ApproximateCreationDateTime", 0))
        self.last_sequence = sequence
        if shard.records_max is not None and len(shard.records) >= shard.records_max:
            self._split(leaf, sequence)

    def _split(self, leaf, sequence):
        parent = self.leaves[leaf]
        parent.end = sequence
        one = len(self.leaves) >= self.shape["open_max"] or parent.high - parent.low < 2 \
            or self._chance("split", len(self.shards)).below(self.shape["single_child"], "single")
        middle = (parent.low + parent.high) // 2
        ranges = [(parent.low, parent.high)] if one else [(parent.low, middle), (middle, parent.high)]
        self.leaves[leaf:leaf + 1] = [self._open(self._name(len(self.shards)), parent, low, high, sequence + 1)
                                      for low, high in ranges]

    def _name(self, number):
        tail = int(self._chance("name", number).uniform("") * 2 ** 32)
        return "shardId-%020d-%08x" % (self.first_number + number, tail)

    def disable(self):
        """The stream was switched off: what is open ends where it is."""
        self.disabled = True
        for shard in self.leaves:
            shard.end = max(self.last_sequence, shard.start)

    def trim(self, through):
        """The stream forgets every record up to this one."""
        self.trimmed_through = max(self.trimmed_through, min(through, self.last_sequence))

    def trim_to_last(self, records):
        if len(self.all_sequences) > records:
            self.trim(self.all_sequences[len(self.all_sequences) - records - 1])

    def trim_older(self, moment):
        """Forgets what was written before `moment` (seconds). DynamoDB Local stamps whole minutes."""
        through = self.trimmed_through
        for sequence, written in zip(self.all_sequences, self.written):
            if written < moment:
                through = max(through, sequence)
        self.trim(through)

    # What a client is told.

    def _text(self, sequence):
        return str(sequence).zfill(self.sequence_digits)

    def _gone(self, shard):
        return shard.end is not None and bool(shard.children) and shard.end <= self.trimmed_through

    def _told(self, shard, as_open=False):
        told = {"ShardId": shard.name, "SequenceNumberRange": {"StartingSequenceNumber": self._text(shard.start)}}
        if shard.end is not None and not as_open:
            told["SequenceNumberRange"]["EndingSequenceNumber"] = self._text(shard.end)
        if shard.parent:
            told["ParentShardId"] = shard.parent.name
        return told

    def describe(self, limit, after, child_of, chance):
        """(shards, LastEvaluatedShardId or None, the inconsistency of this moment or None)."""
        shards = list(self.shards)
        if child_of is not None:
            parent = self.by_name.get(child_of)
            if parent is None:
                raise Refused(error("ResourceNotFoundException", "Shard does not exist"))
            shards = list(parent.children)
        shape = self.shape or {"page": SHARDS_PER_PAGE_MAX, "inconsistent": 0, "order": "created"}
        # Either order lets a client turn pages while shards are born: none is listed whose new parent was passed over.
        if shape["order"] == "newest":
            shards.reverse()
        first = 0
        if after is not None:
            if after not in self.by_name:
                raise Refused(error("ResourceNotFoundException", "Shard does not exist: %s" % after))
            first = next((n + 1 for n, shard in enumerate(shards) if shard.name == after), len(shards))
        shards = [shard for shard in shards[first:] if not self._gone(shard)]
        size = min(limit or SHARDS_PER_PAGE_MAX, shape["page"])
        page, rest = shards[:size], shards[size:]
        last = page[-1].name if rest else None
        moment, as_open = None, None
        if chance.below(shape["inconsistent"], "inconsistent"):
            at_newest = after is None if shape["order"] == "newest" else not rest
            page, as_open, moment = self._inconsistent(page, at_newest, chance)
        return [self._told(shard, shard is as_open) for shard in page], last, moment

    def _inconsistent(self, page, at_newest, chance):
        """The graph as it is seen while it changes: true again at the next look."""
        moment = chance.one_of(["child_first", "open_parent", "no_children", "one_child"], "moment")
        parents = [shard for shard in page if shard.children]
        if moment == "child_first" and len(page) > 1:
            return page[::-1], None, moment
        if moment == "open_parent" and parents:
            return page, parents[-1], moment
        if moment not in ("no_children", "one_child"):
            return page, None, None
        newest = {child for shard in self.shards[-6:] for child in shard.children if not child.children}
        hidden = {child for child in newest if moment == "no_children" or child is child.parent.children[0]}
        if at_newest and hidden & set(page):  # Elsewhere a later page could show the children of a hidden shard.
            return [shard for shard in page if shard not in hidden], None, moment
        return page, None, None

    def iterator(self, name, kind, sequence, now):
        shard = self.by_name.get(name)
        if shard is None or self._gone(shard):
            raise Refused(error("ResourceNotFoundException", "Shard does not exist"))
        if kind == "TRIM_HORIZON":
            return self._iterator(shard, bisect.bisect_right(shard.sequences, self.trimmed_through), now)
        if kind == "LATEST":
            return self._iterator(shard, len(shard.records), now)
        if kind not in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
            raise Refused(invalid("ShardIteratorType %s is none" % kind))
        if not sequence or not sequence.isdigit():
            raise Refused(invalid("SequenceNumber is required for %s" % kind))
        number = int(sequence)
        # The first shard bears the name of the server's own, so a position noted before the splits began is let in.
        end = shard.end if shard.end is not None and shard.parent else max(self.last_sequence, shard.start)
        if not shard.start <= number <= end:
            raise Refused(invalid("Invalid SequenceNumber for the shard"))
        if number <= self.trimmed_through:
            raise Refused(trimmed())
        find = bisect.bisect_left if kind == "AT_SEQUENCE_NUMBER" else bisect.bisect_right
        return self._iterator(shard, find(shard.sequences, number), now)

    def _iterator(self, shard, index, now):
        inside = "%s|%d|%d" % (shard.name, index, int(now * 1000))
        return "%s|v01|%s" % (self.arn, base64.b64encode(inside.encode()).decode())

    def read(self, name, index, limit, chance, now, empty):
        """(records as JSON bytes, the next iterator or None)."""
        shard = self.by_name[name]
        if index < len(shard.sequences) and shard.sequences[index] <= self.trimmed_through:
            raise Refused(trimmed())
        records, size = [], 0
        for record in () if empty else shard.records[index:index + min(limit or RECORDS_PER_PAGE_MAX,
                                                                      RECORDS_PER_PAGE_MAX)]:
            size += len(record)
            if size > BYTES_PER_PAGE_MAX and records:
                break
            records.append(record)
        index += len(records)
        at_end = shard.end is not None and index >= len(shard.records)
        # The end comes with the last records, or with an empty page after them.
        if at_end and (not records or chance.below(0.5, "end at once")):
            return records, None
        return records, self._iterator(shard, index, now)


def trimmed():
    return error("TrimmedDataAccessException",
                 "The operation attempted to read past the oldest stream record in a shard")


def read_iterator(iterator):
    """(arn, shard, index, issued in seconds), or None for one that is not ours."""
    try:
        arn, version, inside = iterator.rsplit("|", 2)
        if version != "v01":
            return None
        name, index, issued = base64.b64decode(inside).decode().split("|")
        return arn, name, int(index), int(issued) / 1000
    except ValueError:
        return None
