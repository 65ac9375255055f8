/*-------------------------------------------------------------------------
 *
 * cache.c
 *		Rows in shared memory, whose answers are exactly the table's.
 *
 * An entry is a version of a row: it holds the transaction that made it, as a
 * 64-bit number (xmin).  Why an answer from here is the table's:
 *
 * Writers.  Before a transaction W replaces or deletes the row of a key it has its
 * top-level transaction id, removes the key's entries, and raises the stripe's
 * last_writer to W.  Who inserts a row has nothing to remove: absence is never an
 * answer.
 *
 * Fills.  A reader with snapshot S that finds no entry reads the table, and makes
 * an entry only if, under the stripe's lock,
 *	(1) last_writer precedes S's xmin;
 *	(2) the row is not this transaction's own, which may yet be undone;
 *	(3) the row's xmax is invalid, aborted or a mere lock.
 * Suppose that some W replaces the version of such an entry.  If W reported before
 * the fill, then last_writer >= W, and by (1) W precedes S's xmin: W had ended when S
 * was taken, and the table gave what W left.  If it reports after the fill, it
 * removes the entry.  So an entry is always of the newest version of its row, but for
 * what writers in progress are about to do after they have removed it; and while they
 * are in progress, by (1), nobody brings it back, not even they themselves.
 * (3) is for writers of whom this memory has not heard and who have done their
 * writing, though S may be older than they are: those who wrote while the trigger was
 * off, and prepared transactions that have reported before a restart.
 *
 * Hits.  A reader takes an entry only if its xmin is visible to its snapshot S: it was
 * committed when the entry was made, for whoever made it saw it and (2).  Being of
 * the newest version, it is what S sees, unless S is older than the version: then
 * xmin is in progress for S, and the index is asked.  A deleted row has no entry.
 *
 * Writers are the trigger on every complete version (forget.c), in every mode of
 * replication, and code of ours that goes past triggers.  Entries belong to a
 * table together with its file, the last change of its trigger, its primary key
 * and its columns; TRUNCATE, a rewrite, disabling the trigger for a while, another
 * key or another column make it another table.  All of these are done under an
 * AccessExclusiveLock (forget.c sees to it for the trigger), which is released when
 * the messages about it have been sent: a reader, who holds a lock on the table and
 * then has accepted messages, knows which table it is.
 *
 * A key is compared by its bytes.  Where a type has several images of one value,
 * an entry stands under the image that the table holds, a reader with another
 * one goes to the index, and a writer reports the one that the table holds.
 *
 * Not in recovery, whose writer is the replay of WAL; not under SERIALIZABLE,
 * which wants to know what was read.
 *
 * Memory.  A stripe is a ring of entries in the order of their making.  Room is
 * made at its tail, where an entry that was used since it was last there goes on
 * to the head once more: CLOCK, without holes.
 *
 * Speed.  A hit waits twice for memory, once for its bucket and once for its entry,
 * and that is most of what it costs; hence the prefetching.  Next comes the lock, which
 * two processors have to hand to each other even where both only read; so a hit does
 * without.  Each stripe has a number that is odd while the stripe is being changed and
 * goes up by each change.  A number that was even and is the same after the row was
 * visited says that the row is what the lock would have given; if it is not the same,
 * the visit was in vain, and there is another one with the lock.
 *
 * Locks: one LWLock for each stripe, exclusive for changes, shared for a hit that is the
 * first one since the entry was at the tail, that a change came in the way of, or
 * whose visitor wants it; held for one visit at most.
 * Must not know: stores, versions, and how rows are read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/cache.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/guc.h"
#include "common/shared_area.h"
#include "read/statistics.h"

#define STRIPE_BYTES		(256 * 1024)	/* at least, if there is so much */
#define MAX_STRIPES			256
#define PREFETCH_BYTES		320		/* an entry of a few numbers */
#define SECOND_CHANCES		8		/* entries that one fill moves from tail to head at most */

/* For the age of entries. */
#define NOW_S()				((uint32) (GetCurrentTimestamp() / USECS_PER_SEC))

typedef struct Entry
{
	uint32		size;			/* with everything, aligned */
	uint32		next;			/* place of the next in its bucket; NOWHERE: none */
	uint32		hash;
	uint32		filled_s;
	uint64		xmin;			/* 0: visible to everybody */
	uint64		trigger;
	Oid			database;
	Oid			records;
	Oid			file;
	Oid			key_index;
	uint32		shape;
	int16		statistics;
	uint16		key_length;
	uint32		length;			/* of the row */
	uint8		form;			/* 0: nobody's, only in the way */
	bool		used;			/* since it was last at the tail */
	char		key[FLEXIBLE_ARRAY_MEMBER];	/* then the row, aligned */
} Entry;

#define NOWHERE				PG_UINT32_MAX

typedef struct Stripe
{
	uint64		last_writer;	/* the highest of those that have reported */
	uint32		head;			/* where the next entry goes */
	uint32		tail;			/* the oldest entry */
	uint32		occupied;		/* bytes from tail to head, round the end */
} Stripe;

typedef struct Cache
{
	pg_atomic_uint32 changes[MAX_STRIPES];	/* odd: in the midst of one */
	int			stripes;		/* a power of two, as are buckets */
	int			stripe_shift;	/* of a hash, so that the stripe's number is left */
	uint32		buckets;		/* of a stripe */
	uint32		ring_bytes;		/* of a stripe */
	LWLockPadded *locks;
	char	   *memory;			/* of each stripe: Stripe, buckets, ring */
	Size		stripe_bytes;
} Cache;

static Cache *cache = NULL;

static int
stripe_count(void)
{
	uint64		bytes = (uint64) Settings.cache_size_kb * 1024;

	return pg_prevpower2_32(Max(1, Min(bytes / STRIPE_BYTES, MAX_STRIPES)));
}

static Stripe *
stripe_of(uint32 number)
{
	return (Stripe *) (cache->memory + number * cache->stripe_bytes);
}

static uint32 *
buckets_of(Stripe *stripe)
{
	return (uint32 *) ((char *) stripe + MAXALIGN(sizeof(Stripe)));
}

static Entry *
entry_at(Stripe *stripe, uint32 place)
{
	return (Entry *) ((char *) buckets_of(stripe) + cache->buckets * sizeof(uint32) + place);
}

static void
fill_memory(LWLockPadded *locks)
{
	Size		bytes = (Size) Settings.cache_size_kb * 1024;

	cache->stripes = stripe_count();
	cache->stripe_shift = 32 - pg_ceil_log2_32(cache->stripes);
	cache->stripe_bytes = TYPEALIGN_DOWN(PG_CACHE_LINE_SIZE, bytes / cache->stripes);

	/* More buckets than rows of a few numbers: whoever shares one costs a wait for memory. */
	cache->buckets = pg_prevpower2_32(cache->stripe_bytes / 128);
	cache->ring_bytes = TYPEALIGN_DOWN(MAXIMUM_ALIGNOF, cache->stripe_bytes -
									   MAXALIGN(sizeof(Stripe)) -
									   cache->buckets * sizeof(uint32) - sizeof(Entry));
	cache->locks = locks;
	cache->memory = (char *) cache + MAXALIGN(sizeof(Cache));
	for (int i = 0; i < cache->stripes; i++)
	{
		pg_atomic_init_u32(&cache->changes[i], 0);
		memset(stripe_of(i), 0, sizeof(Stripe));
		memset(buckets_of(stripe_of(i)), 0xff, cache->buckets * sizeof(uint32));
	}
}

void
CacheRequest(void)
{
	if (Settings.cache_size_kb > 0)
		SharedAreaRequest("venice_cache", (void **) &cache,
						  add_size(MAXALIGN(sizeof(Cache)), mul_size(Settings.cache_size_kb, 1024)),
						  stripe_count(), fill_memory);
}

bool
CacheIsConfigured(void)
{
	return cache != NULL;
}

int64
CacheBytes(void)
{
	return cache == NULL ? 0 : (int64) cache->stripes * cache->ring_bytes;
}

bool
CacheMayAnswer(Snapshot snapshot)
{
	return cache != NULL && Settings.read_cache && !IsolationIsSerializable() &&
		snapshot->snapshot_type == SNAPSHOT_MVCC && !snapshot->takenDuringRecovery;
}

/*
 * The snapshot's xmin in 64 bits.  The high half is looked up again only when xmax
 * has changed; if it should ever be too low, entries merely seem too young.
 */
static uint64
snapshot_xmin(Snapshot snapshot)
{
	static TransactionId known_xmax = InvalidTransactionId;
	static uint64 known = 0;

	if (snapshot->xmax != known_xmax)
	{
		uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId());

		known = next - (uint32) ((uint32) next - snapshot->xmax);
		known_xmax = snapshot->xmax;
	}
	return known - (uint32) (snapshot->xmax - snapshot->xmin);
}

static uint64
full_xid(TransactionId xid)
{
	uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId());

	return next - (uint32) ((uint32) next - xid);
}

/* The number that most keys are deserves better than to be hashed byte by byte. */
static uint32
hash_number(uint64 number)
{
	number ^= number >> 32;
	number *= UINT64CONST(0xD6E8FEB86659FD93);
	number ^= number >> 32;
	number *= UINT64CONST(0xD6E8FEB86659FD93);
	return (uint32) (number >> 32);
}

bool
CacheKeyMake(const CacheTable *table, const Datum *values, CacheKey *key)
{
	int			length = 0;

	for (int k = 0; k < table->key_count; k++)
	{
		const void *bytes;
		int			count;

		if (table->key_by_value[k])
		{
			bytes = &values[k];
			count = sizeof(Datum);
		}
		else if (table->key_lengths[k] > 0)
		{
			bytes = DatumGetPointer(values[k]);
			count = table->key_lengths[k];
		}
		else if (table->key_lengths[k] == -1)
		{
			struct varlena *value = PG_DETOAST_DATUM_PACKED(values[k]);

			bytes = VARDATA_ANY(value);
			count = VARSIZE_ANY_EXHDR(value);
		}
		else
			return false;

		/* With its length, so that two keys do not run together. */
		if (length + (int) sizeof(count) + count > CACHE_KEY_BYTES)
			return false;
		memcpy(key->bytes + length, &count, sizeof(count));
		memcpy(key->bytes + length + sizeof(count), bytes, count);
		length += sizeof(count) + count;
	}
	key->length = length;
	key->hash = hash_number(((uint64) table->records << 32) + MyDatabaseId +
							(table->key_count == 1 && table->key_by_value[0] ? values[0] :
							 hash_bytes((unsigned char *) key->bytes, length)));
	return true;
}

static uint32
stripe_number(uint32 hash)
{
	/* The high bits, of which there may be none; the low ones choose the bucket. */
	return (uint64) hash >> cache->stripe_shift;
}

/* A row in another form is in another bucket, so as not to be in the way. */
static uint32 *
bucket_of(Stripe *stripe, uint32 hash, CacheForm form)
{
	return &buckets_of(stripe)[(hash + form) & (cache->buckets - 1)];
}

/*
 * Without a lock: what is fetched may be another entry by then, and cost a little.  A
 * processor waits for a page's address before it goes on for long; so these loops
 * have nothing in them that need not be.
 */
void
CachePrefetchBuckets(const CacheKey *keys, int count, CacheForm form)
{
	for (int i = 0; i < count; i++)
		__builtin_prefetch(bucket_of(stripe_of(stripe_number(keys[i].hash)), keys[i].hash, form));
}

void
CachePrefetchEntries(CacheKey *keys, int count, CacheForm form)
{
	for (int i = 0; i < count; i++)
	{
		Stripe	   *stripe = stripe_of(stripe_number(keys[i].hash));
		uint32		place = *(volatile uint32 *) bucket_of(stripe, keys[i].hash, form);

		keys[i].entry = place == NOWHERE ? NULL : entry_at(stripe, place);
		if (place == NOWHERE)
			continue;
		for (int at = 0; at < PREFETCH_BYTES; at += PG_CACHE_LINE_SIZE / 2)
			__builtin_prefetch((const char *) keys[i].entry + at);
	}
}

void
CachePrefetchRest(const CacheKey *key)
{
	const Entry *entry = key->entry;
	uint32		end = entry == NULL ? 0 : Min(*(volatile uint32 *) &entry->size, CACHE_ROW_BYTES);

	for (uint32 at = PREFETCH_BYTES; at < end; at += PG_CACHE_LINE_SIZE / 2)
		__builtin_prefetch((const char *) entry + at);
}

static Size
row_offset(uint16 key_length)
{
	return MAXALIGN(offsetof(Entry, key) + key_length);
}

/* "bytes" are the entry's, which its header may be a copy of. */
static bool
is_key(const Entry *header, const char *bytes, const CacheTable *table, const CacheKey *key)
{
	return header->hash == key->hash && header->records == table->records &&
		header->database == MyDatabaseId && header->key_length == key->length &&
		memcmp(bytes, key->bytes, key->length) == 0;
}

static bool
is_table(const Entry *entry, const CacheTable *table)
{
	return entry->file == table->file && entry->key_index == table->key_index &&
		entry->trigger == table->trigger && entry->shape == table->shape;
}

/* An overflowed snapshot would have to read subtransactions from disk, under our lock. */
static bool
is_visible(const Entry *entry, Snapshot snapshot, uint64 xmin)
{
	return entry->xmin < xmin ||
		(!snapshot->suboverflowed &&
		 !XidInMVCCSnapshot((TransactionId) entry->xmin, snapshot));
}

static bool
is_answer(const Entry *entry, const CacheTable *table, Snapshot snapshot)
{
	return is_visible(entry, snapshot, snapshot_xmin(snapshot)) &&
		(table->ttl_s == 0 || NOW_S() - entry->filled_s < table->ttl_s);
}

/* Has a stripe been changed since its number was this, or is it being changed? */
static bool
is_changed(uint32 number, uint32 before)
{
	pg_read_barrier();
	return (before & 1) != 0 || pg_atomic_read_u32(&cache->changes[number]) != before;
}

/*
 * A visit without the lock; false if it takes the lock.  Whatever is read may be of
 * another entry by now: nothing of it is followed before is_changed has said that it
 * is not.  That a header was whole says where the row is, and how long.
 */
static bool
visit_unlocked(const CacheTable *table, const CacheKey *key, CacheForm form, Snapshot snapshot,
			   CacheVisitor visitor, void *argument, bool *found)
{
	uint32		number = stripe_number(key->hash);
	uint32		changes = pg_atomic_read_u32(&cache->changes[number]);
	Stripe	   *stripe = stripe_of(number);
	uint32		place;

	pg_read_barrier();
	*found = false;
	for (place = *(volatile uint32 *) bucket_of(stripe, key->hash, form); place != NOWHERE;)
	{
		const Entry *entry = entry_at(stripe, place);
		Entry		header = *entry;

		if (is_changed(number, changes))
			return false;
		if (header.form == form && is_key(&header, entry->key, table, key) &&
			is_table(&header, table))
		{
			if (!header.used)
				return false;
			*found = is_answer(&header, table, snapshot);
			if (*found && !visitor(argument, (char *) entry + row_offset(header.key_length),
								   header.length, false))
				return false;
			break;
		}
		place = header.next;
	}
	return !is_changed(number, changes);
}

static bool
visit_locked(const CacheTable *table, const CacheKey *key, CacheForm form, Snapshot snapshot,
			 CacheVisitor visitor, void *argument)
{
	uint32		number = stripe_number(key->hash);
	Stripe	   *stripe = stripe_of(number);
	bool		found = false;

	LWLockAcquire(&cache->locks[number].lock, LW_SHARED);
	for (uint32 place = *bucket_of(stripe, key->hash, form); place != NOWHERE;)
	{
		Entry	   *entry = entry_at(stripe, place);

		if (entry->form == form && is_key(entry, entry->key, table, key) && is_table(entry, table))
		{
			found = is_answer(entry, table, snapshot);
			if (found)
			{
				if (!entry->used)
					entry->used = true;
				(void) visitor(argument, (char *) entry + row_offset(entry->key_length),
							   entry->length, true);
			}
			break;
		}
		place = entry->next;
	}
	LWLockRelease(&cache->locks[number].lock);
	return found;
}

bool
CacheVisit(const CacheTable *table, const CacheKey *key, CacheForm form, Snapshot snapshot,
		   CacheVisitor visitor, void *argument)
{
	bool		found;

	if (visit_unlocked(table, key, form, snapshot, visitor, argument, &found))
		return found;
	return visit_locked(table, key, form, snapshot, visitor, argument);
}

typedef struct Copy
{
	StringInfo	bytes;
	int			length_before;
} Copy;

static bool
append_row(void *argument, const char *bytes, int length, bool locked)
{
	Copy	   *copy = argument;

	copy->bytes->len = copy->length_before;
	appendBinaryStringInfo(copy->bytes, bytes, length);
	return true;
}

bool
CacheCopy(const CacheTable *table, const CacheKey *key, CacheForm form, Snapshot snapshot,
		  StringInfo bytes)
{
	Copy		copy = {bytes, bytes->len};

	if (CacheVisit(table, key, form, snapshot, append_row, &copy))
		return true;
	/* There may have been a visit in vain. */
	bytes->len = copy.length_before;
	return false;
}

/* Take the lock of a stripe in order to change it.  Nothing may fail until end_change. */
static Stripe *
begin_change(uint32 number)
{
	LWLockAcquire(&cache->locks[number].lock, LW_EXCLUSIVE);
	pg_atomic_write_u32(&cache->changes[number], pg_atomic_read_u32(&cache->changes[number]) + 1);
	pg_write_barrier();
	return stripe_of(number);
}

static void
end_change(uint32 number)
{
	pg_write_barrier();
	pg_atomic_write_u32(&cache->changes[number], pg_atomic_read_u32(&cache->changes[number]) + 1);
	LWLockRelease(&cache->locks[number].lock);
}

/* Take an entry out of its bucket; its bytes stay in the way until the tail comes by. */
static void
unlink_entry(Stripe *stripe, Entry *entry)
{
	uint32	   *link = bucket_of(stripe, entry->hash, entry->form);

	while (entry_at(stripe, *link) != entry)
		link = &entry_at(stripe, *link)->next;
	*link = entry->next;
	entry->form = 0;
	ReadStatisticsBytes(entry->statistics, -(int64) entry->size);
}

static void
link_entry(Stripe *stripe, Entry *entry, uint32 place)
{
	uint32	   *bucket = bucket_of(stripe, entry->hash, entry->form);

	entry->next = *bucket;
	*bucket = place;
	ReadStatisticsBytes(entry->statistics, entry->size);
}

/* Remove the oldest entry; a copy of it if it has been used, and is to stay. */
static Entry *
remove_tail(Stripe *stripe, Entry *copy)
{
	Entry	   *entry = entry_at(stripe, stripe->tail);
	uint32		size = entry->size;
	Entry	   *kept = NULL;

	if (entry->form != 0)
	{
		if (copy != NULL && entry->used)
		{
			memcpy(copy, entry, size);
			copy->used = false;
			kept = copy;
		}
		else
			ReadStatisticsEviction(entry->statistics);
		unlink_entry(stripe, entry);
	}
	stripe->occupied -= size;
	stripe->tail += size;
	if (stripe->tail == cache->ring_bytes || stripe->occupied == 0)
		stripe->tail = 0;
	if (stripe->occupied == 0)
		stripe->head = 0;
	return kept;
}

/* Is there room for so many bytes in one piece at the head?  Goes round the end for it. */
static bool
has_room(Stripe *stripe, uint32 size)
{
	uint32		to_end;

	if (stripe->occupied > 0 && stripe->head <= stripe->tail)
		return stripe->tail - stripe->head >= size;
	to_end = cache->ring_bytes - stripe->head;
	if (to_end >= size)
		return true;
	if (stripe->occupied == 0)
		return false;

	/* What is left at the end is nobody's.  Behind the ring there is room for its header. */
	if (to_end > 0)
	{
		Entry	   *filler = entry_at(stripe, stripe->head);

		filler->size = to_end;
		filler->form = 0;
		stripe->occupied += to_end;
	}
	stripe->head = 0;
	return stripe->tail >= size;
}

/* Copy an entry to the head, where there is room, and link it. */
static void
put_at_head(Stripe *stripe, const Entry *entry, uint32 bytes)
{
	Entry	   *new = entry_at(stripe, stripe->head);
	uint32		place = stripe->head;

	memcpy(new, entry, bytes);
	link_entry(stripe, new, place);
	stripe->occupied += entry->size;
	stripe->head += entry->size;
	if (stripe->head == cache->ring_bytes)
		stripe->head = 0;
}

static void
add_entry(Stripe *stripe, const Entry *entry, uint32 bytes, Entry *scratch)
{
	int			chances = SECOND_CHANCES;

	while (!has_room(stripe, entry->size))
	{
		Entry	   *kept = remove_tail(stripe, chances > 0 ? scratch : NULL);

		if (kept == NULL)
			continue;
		chances--;
		while (!has_room(stripe, kept->size))
			(void) remove_tail(stripe, NULL);
		put_at_head(stripe, kept, kept->size);
	}
	put_at_head(stripe, entry, bytes);
}

/* Conditions (2) and (3).  What COPY FREEZE has written is frozen and this transaction's own. */
static bool
is_newest(HeapTupleHeader tuple)
{
	return !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(tuple)) &&
		((tuple->t_infomask & HEAP_XMAX_INVALID) != 0 ||
		 HEAP_XMAX_IS_LOCKED_ONLY(tuple->t_infomask));
}

bool
CacheFill(const CacheTable *table, const CacheKey *key, CacheForm form, Snapshot snapshot,
		  HeapTuple tuple, const char *bytes, int length)
{
	static Entry *buffers[2] = {NULL, NULL};
	uint32		number = stripe_number(key->hash);
	Stripe	   *stripe;
	Entry	   *entry;
	uint64		xmin;
	Size		size = MAXALIGN(row_offset(key->length) + length);
	bool		kept = false;

	/* One row is not to drive out all others. */
	if (length > CACHE_ROW_BYTES || size > cache->ring_bytes / 4 || !is_newest(tuple->t_data))
		return false;
	if (buffers[0] == NULL)
		for (int i = 0; i < lengthof(buffers); i++)
			buffers[i] = MemoryContextAlloc(TopMemoryContext, MAXALIGN(sizeof(Entry)) +
											MAXALIGN(CACHE_KEY_BYTES) + MAXALIGN(CACHE_ROW_BYTES));

	xmin = snapshot_xmin(snapshot);
	entry = buffers[0];
	entry->size = size;
	entry->hash = key->hash;
	entry->filled_s = table->ttl_s > 0 ? NOW_S() : 0;
	entry->xmin = HeapTupleHeaderXminFrozen(tuple->t_data) ? 0 :
		full_xid(HeapTupleHeaderGetRawXmin(tuple->t_data));
	entry->database = MyDatabaseId;
	entry->records = table->records;
	entry->file = table->file;
	entry->key_index = table->key_index;
	entry->trigger = table->trigger;
	entry->shape = table->shape;
	entry->statistics = table->statistics;
	entry->key_length = key->length;
	entry->length = length;
	entry->form = form;
	entry->used = false;
	memcpy(entry->key, key->bytes, key->length);
	memcpy((char *) entry + row_offset(key->length), bytes, length);

	stripe = begin_change(number);
	if (stripe->last_writer < xmin)
	{
		for (uint32 place = *bucket_of(stripe, key->hash, form); place != NOWHERE;)
		{
			Entry	   *other = entry_at(stripe, place);

			place = other->next;
			if (other->form != form || !is_key(other, other->key, table, key))
				continue;
			/* Somebody was faster; or it is too old, or of the table as it was. */
			if (is_table(other, table) && table->ttl_s == 0)
				kept = true;
			else
				unlink_entry(stripe, other);
		}
		if (!kept)
			add_entry(stripe, entry, size, buffers[1]);
		kept = true;
	}
	end_change(number);
	return kept;
}

void
CacheForget(const CacheTable *table, const CacheKey *key)
{
	uint64		writer;
	uint32		number;
	Stripe	   *stripe;

	if (cache == NULL)
		return;
	writer = U64FromFullTransactionId(GetTopFullTransactionId());
	number = stripe_number(key->hash);
	stripe = begin_change(number);
	for (CacheForm form = CACHE_TUPLE; form <= CACHE_PACKED; form++)
		for (uint32 place = *bucket_of(stripe, key->hash, form); place != NOWHERE;)
		{
			Entry	   *entry = entry_at(stripe, place);

			place = entry->next;
			if (is_key(entry, entry->key, table, key))
				unlink_entry(stripe, entry);
		}
	stripe->last_writer = Max(stripe->last_writer, writer);
	end_change(number);
}
