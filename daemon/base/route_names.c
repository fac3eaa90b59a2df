/* The names of routes, and of other things of modules, by their number, in shared memory. */
#include "base/route_names.h"

#include "base/utf8.h"

#include <string.h>

/* FNV-1a; two routes of one hash, which nobody will see, would share their counters. */
static uint64_t hash_text(uint64_t hash, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void store(_Atomic char *to, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		atomic_store_explicit(&to[i], text[i], memory_order_relaxed);
	atomic_store_explicit(&to[length], '\0', memory_order_relaxed);
}

static void load(const _Atomic char *from, char *text, size_t size)
{
	char copy[ROUTE_NAME_PATH_SIZE];

	for (size_t i = 0; i < size; i++)
		copy[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
	copy[size - 1] = '\0';
	utf8_clean(copy, text, size);
}

/* One that died in between has left it to the next; two that do it at once write the same. */
static void complete(struct route_name *name, const char *module, const char *path)
{
	if (atomic_load(&name->is_complete))
		return;
	store(name->module, module, strnlen(module, MODULE_NAME_SIZE - 1));
	store(name->path, path, strnlen(path, ROUTE_NAME_PATH_SIZE - 1));
	atomic_store(&name->is_complete, true);
}

uint32_t names_claim(struct route_name names[], uint32_t count, const char *module, const char *path)
{
	size_t module_length = strnlen(module, MODULE_NAME_SIZE - 1);
	size_t path_length = strnlen(path, ROUTE_NAME_PATH_SIZE - 1);
	uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), module, module_length);

	/* Between both a byte that neither has. */
	hash = hash_text(hash_text(hash, "", 1), path, path_length);
	if (hash == 0)
		hash = 1;
	/* There are gaps where names were freed: it may be behind one. */
	for (uint32_t i = 0; i < count; i++) {
		if (atomic_load(&names[i].hash) == hash) {
			complete(&names[i], module, path);
			return i;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t found = 0;

		if (!atomic_compare_exchange_strong(&names[i].hash, &found, hash) && found != hash)
			continue;
		complete(&names[i], module, path);
		return i;
	}
	return count;
}

void name_free(struct route_name *name)
{
	atomic_store(&name->is_complete, false);
	atomic_store(&name->hash, 0);
}

uint32_t route_names_claim(struct route_names *names, const char *module, const char *path)
{
	return names_claim(names->all, COUNTERS_ROUTES_MAX, module, path);
}

bool route_names_get(const struct route_names *names, uint64_t number, struct route_name_copy *copy)
{
	*copy = (struct route_name_copy){.module = ""};
	if (number >= COUNTERS_ROUTES_MAX || !atomic_load(&names->all[number].is_complete))
		return false;
	load(names->all[number].module, copy->module, sizeof copy->module);
	load(names->all[number].path, copy->path, sizeof copy->path);
	return true;
}
