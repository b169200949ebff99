/* The addresses that a switch has learnt, and at which port.
 *
 * A hash table with chains of entries; the entries of one port form a list besides, in the order in which they came. Who
 * sends chooses the addresses, so two rules keep the table in bounds:
 *
 * 1. A port has at most `most` addresses. One more takes the place of its own oldest, so a flood of addresses evicts none
 *    of another port. Of its oldest few, those that have sent more than once are spared.
 * 2. The table has at most `most` entries. When it is full, a port that has less than its share takes the oldest of one
 *    that has more; otherwise its own.
 *
 * The hash is multiplied by a random odd number (Dietzfelbinger et al. 1997), which nobody who sends knows.
 */
#include "switch.h"

#include <stdlib.h>
#include <sys/random.h>

#define SPARED 8      /* entries that are looked at, at the most, to find one that has not sent again */
#define SWEPT 256     /* entries that one call of vn_table_sweep looks at */

static uint32_t *bucket_of(const struct vn_table *table, uint64_t key)
{
	return &table->buckets[key * table->seed >> table->shift];
}

int vn_table_make(struct vn_table *table, uint32_t most, uint32_t age)
{
	uint32_t bits = 4;
	while (bits < 31 && UINT32_C(1) << bits < 2 * most)
		bits++;
	*table = (struct vn_table){.most = most, .shift = 64 - bits, .age = age, .hand = 1};
	if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) != sizeof(table->seed))
		table->seed = (uint64_t)vn_now() * UINT64_C(0x9e3779b97f4a7c15);
	table->seed |= 1;
	table->entries = calloc((size_t)most + 1, sizeof(*table->entries));
	table->buckets = calloc((size_t)1 << bits, sizeof(*table->buckets));
	return table->entries && table->buckets ? 0 : -ENOMEM;
}

void vn_table_free(struct vn_table *table)
{
	free(table->entries);
	free(table->buckets);
}

void vn_table_join(struct vn_table *table, struct vn_owner *owner, uint32_t most)
{
	*owner = (struct vn_owner){.next = table->owners, .most = most};
	table->owners = owner;
}

void vn_table_leave(struct vn_table *table, struct vn_owner *owner)
{
	struct vn_owner **place = &table->owners;
	vn_table_forget(table, owner);
	while (*place != owner)
		place = &(*place)->next;
	*place = owner->next;
	table->greedy = NULL;
}

static uint32_t index_of(const struct vn_table *table, const struct vn_address *entry)
{
	return (uint32_t)(entry - table->entries);
}

/* ---- an owner's list ---- */

static void append(struct vn_table *table, struct vn_owner *owner, struct vn_address *entry)
{
	const uint32_t this = index_of(table, entry);
	entry->owner = owner;
	entry->again = 0;
	entry->older = owner->newest;
	entry->newer = 0;
	if (owner->newest)
		table->entries[owner->newest].newer = this;
	else
		owner->oldest = this;
	owner->newest = this;
	owner->count++;
}

static void take_out(struct vn_table *table, struct vn_address *entry)
{
	struct vn_owner *owner = entry->owner;
	if (entry->older)
		table->entries[entry->older].newer = entry->newer;
	else
		owner->oldest = entry->newer;
	if (entry->newer)
		table->entries[entry->newer].older = entry->older;
	else
		owner->newest = entry->older;
	owner->count--;
}

/* ---- entries ---- */

static void forget(struct vn_table *table, struct vn_address *entry)
{
	const uint32_t this = index_of(table, entry);
	uint32_t *place = bucket_of(table, entry->key);
	while (*place != this)
		place = &table->entries[*place].chain;
	*place = entry->chain;
	take_out(table, entry);
	entry->key = 0;
	entry->owner = NULL;
	entry->chain = table->free;
	table->free = this;
	table->used--;
}

void vn_table_forget(struct vn_table *table, struct vn_owner *owner)
{
	while (owner->oldest)
		forget(table, &table->entries[owner->oldest]);
}

static bool is_over(const struct vn_table *table, const struct vn_address *entry, uint32_t now)
{
	return now - entry->seen > table->age;
}

static struct vn_address *lookup(const struct vn_table *table, uint64_t key)
{
	for (uint32_t at = *bucket_of(table, key); at; at = table->entries[at].chain)
		if (table->entries[at].key == key)
			return &table->entries[at];
	return NULL;
}

/* The entry of an address, or NULL where it is not known, or no longer. */
struct vn_address *vn_table_find(const struct vn_table *table, uint64_t key, uint32_t now)
{
	struct vn_address *entry = lookup(table, key);
	return entry && !is_over(table, entry, now) ? entry : NULL;
}

static void forget_oldest(struct vn_table *table, struct vn_owner *owner)
{
	for (int i = 0; i < SPARED; i++) {
		struct vn_address *entry = &table->entries[owner->oldest];
		if (!entry->again)
			break;
		take_out(table, entry);
		append(table, owner, entry);
	}
	forget(table, &table->entries[owner->oldest]);
}

/* Whose oldest entry makes room in a full table. */
static struct vn_owner *who_yields(struct vn_table *table, struct vn_owner *owner)
{
	uint32_t owners = 0;
	for (const struct vn_owner *one = table->owners; one; one = one->next)
		owners++;
	const uint32_t share = table->most / owners;
	if (owner->count > 0 && owner->count >= share)
		return owner;
	if (!table->greedy || table->greedy->count <= share) {
		table->greedy = table->owners;
		for (struct vn_owner *one = table->owners; one; one = one->next)
			if (one->count > table->greedy->count)
				table->greedy = one;
	}
	return table->greedy;
}

/* An address has sent from a port. `crowded`: another one had to be forgotten for it. */
enum vn_learnt vn_table_learn(struct vn_table *table, struct vn_owner *owner, uint64_t key, uint32_t now,
			      struct vn_address **learnt, bool *crowded)
{
	struct vn_address *entry = lookup(table, key);
	*crowded = false;
	if (entry && is_over(table, entry, now)) {
		forget(table, entry);
		entry = NULL;
	}
	if (entry && entry->owner == owner) {
		entry->seen = now;
		entry->again = 1;
		*learnt = entry;
		return VN_LEARNT_KNOWN;
	}
	const bool moved = entry;
	if (moved)
		forget(table, entry);
	if (owner->count >= owner->most || table->used >= table->most) {
		forget_oldest(table, owner->count >= owner->most ? owner : who_yields(table, owner));
		*crowded = true;
	}
	uint32_t this = table->free;
	if (this)
		table->free = table->entries[this].chain;
	else
		this = ++table->made;
	entry = &table->entries[this];
	uint32_t *bucket = bucket_of(table, key);
	*entry = (struct vn_address){.key = key, .seen = now, .chain = *bucket};
	*bucket = this;
	append(table, owner, entry);
	table->used++;
	*learnt = entry;
	return moved ? VN_LEARNT_MOVED : VN_LEARNT_NEW;
}

/* Forget some of those that have not sent for too long: all of them, once this was called often enough. */
void vn_table_sweep(struct vn_table *table, uint32_t now)
{
	for (uint32_t i = 0; i < SWEPT && i < table->made; i++) {
		if (table->hand > table->made)
			table->hand = 1;
		struct vn_address *entry = &table->entries[table->hand++];
		if (entry->key && is_over(table, entry, now))
			forget(table, entry);
	}
}
