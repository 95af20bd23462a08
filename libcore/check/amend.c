// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Amendments of the record (FORMAT 4.3).  What makes no sense is left out of the walks, which
 * then do not know all pointers: an amendment may have been the only one to its child.
 */
#include "check/amend.h"

static void report_node(struct cdx_check *ck, enum cdx_problem problem, uint64_t grain)
{
	cdx_report(ck, problem, &(struct cdx_finding){.grain = grain, .grains = 1});
}

void cdx_check_amends(struct cdx_check *ck)
{
	struct cdx_amends *amends = &ck->trees->amends;
	unsigned int count = get16(ck->record.n_amends);
	/* The last list: the record's length is just what its lists take (cdx_slot_valid()). */
	const struct cdx_disk_amend *amend =
		(const struct cdx_disk_amend *)(ck->slot + get32(ck->record.length)) - count;

	for (; count; count--, amend++) {
		bool good = cdx_amend_possible(amend) &&
			    cdx_super_allocatable(&ck->super, get64(amend->node), 1);

		if (good && !cdx_check_is_amended(ck, get64(amend->node), get16(amend->index))) {
			amends->list[amends->count++] = *amend;
			continue;
		}
		report_node(ck, good ? CDX_P_AMEND_TWICE : CDX_P_AMEND_FORMAT, get64(amend->node));
		ck->trees->pointers_incomplete = true;
	}
}

/* Whether others see what is below the node: it or one above it is a base.  Parents come first. */
static bool is_lent(const struct cdx_seen *nodes, uint32_t index)
{
	while (index != CDX_NONE && !nodes[index].lends)
		index = nodes[index].parent;
	return index != CDX_NONE;
}

void cdx_check_amended(struct cdx_check *ck)
{
	const struct cdx_amends *amends = &ck->trees->amends;
	const struct cdx_seen *nodes = ck->trees->seen.nodes;

	if (ck->trees->pointers_incomplete)
		return;
	for (unsigned int i = 0; i < amends->count; i++) {
		uint64_t grain = get64(amends->list[i].node);
		uint32_t index = cdx_seen_find(ck, grain);

		if (index == CDX_NONE)
			report_node(ck, CDX_P_AMEND_UNREACHED, grain);
		else if (nodes[index].shared || is_lent(nodes, index))
			report_node(ck, CDX_P_AMEND_SHARED, grain);
	}
}
