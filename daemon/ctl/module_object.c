/* What a module says of itself, as its file has it. */
#include "ctl/module_object.h"

#include "base/config_sections.h"
#include "base/module_folder.h"
#include "onesession.h"

#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <unistd.h>

/* ELF of this machine's own kind: what is in the file is as memory has it. */
#define NATIVE_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

struct object {
	Elf *elf;
	const char *bytes;
	size_t size;
};

/* What is loaded to that address: up to `size` bytes of the file, fewer in *found when it ends. NULL: nothing is. */
static const char *bytes_at(const struct object *object, GElf_Addr address, size_t *found)
{
	size_t count;
	GElf_Phdr header;

	if (elf_getphdrnum(object->elf, &count) != 0)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		GElf_Off offset;

		if (gelf_getphdr(object->elf, (int)i, &header) == NULL || header.p_type != PT_LOAD ||
		    address < header.p_vaddr || address - header.p_vaddr >= header.p_filesz)
			continue;
		offset = header.p_offset + (address - header.p_vaddr);
		if (offset >= object->size)
			return NULL;
		*found = object->size - offset;
		return object->bytes + offset;
	}
	return NULL;
}

static bool copy_at(const struct object *object, GElf_Addr address, void *to, size_t size)
{
	size_t found;
	const char *bytes = bytes_at(object, address, &found);

	if (bytes == NULL || found < size)
		return false;
	memcpy(to, bytes, size);
	return true;
}

/* A pointer is what the loader adds to the object's own address, as a relocation says, or as stands in its place. */
static GElf_Addr pointer_at(const struct object *object, GElf_Addr address)
{
	Elf_Scn *section = NULL;
	uintptr_t in_place = 0;
	GElf_Shdr header;
	GElf_Rela relocation;

	while ((section = elf_nextscn(object->elf, section)) != NULL) {
		Elf_Data *data = elf_getdata(section, NULL);

		if (gelf_getshdr(section, &header) == NULL || header.sh_type != SHT_RELA || data == NULL)
			continue;
		for (int i = 0; gelf_getrela(data, i, &relocation) != NULL; i++) {
			if (relocation.r_offset == address && GELF_R_SYM(relocation.r_info) == 0)
				return (GElf_Addr)relocation.r_addend;
		}
	}
	return copy_at(object, address, &in_place, sizeof in_place) ? in_place : 0;
}

/* The text that the pointer at that address points at, on `ctx`; NULL: there is none. */
static const char *text_of(TALLOC_CTX *ctx, const struct object *object, GElf_Addr address)
{
	GElf_Addr pointer = pointer_at(object, address);
	size_t found;
	const char *text = pointer != 0 ? bytes_at(object, pointer, &found) : NULL;

	return text != NULL && memchr(text, '\0', found) != NULL ? talloc_strdup(ctx, text) : NULL;
}

/* The address of ones_module; 0: it exports none. */
static GElf_Addr find_symbol(const struct object *object)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Sym symbol;

	while ((section = elf_nextscn(object->elf, section)) != NULL) {
		Elf_Data *data = elf_getdata(section, NULL);

		if (gelf_getshdr(section, &header) == NULL || header.sh_type != SHT_DYNSYM || data == NULL)
			continue;
		for (int i = 0; gelf_getsym(data, i, &symbol) != NULL; i++) {
			const char *name = elf_strptr(object->elf, header.sh_link, symbol.st_name);

			if (name != NULL && strcmp(name, "ones_module") == 0 && symbol.st_shndx != SHN_UNDEF)
				return symbol.st_value;
		}
	}
	return 0;
}

static const struct module_object *read_object(TALLOC_CTX *ctx, const struct object *object)
{
	GElf_Addr address = find_symbol(object);
	struct module_object *found = talloc_zero(ctx, struct module_object);
	uint32_t numbers[2]; /* abi, size */

	if (found == NULL || address == 0 || !copy_at(object, address, numbers, sizeof numbers) ||
	    numbers[0] != ONES_ABI || numbers[1] != sizeof(struct ones_module))
		return NULL;
	found->name = text_of(found, object, address + offsetof(struct ones_module, name));
	found->migrations = text_of(found, object, address + offsetof(struct ones_module, migrations));
	if (found->name == NULL || !config_section_can_be(found->name) ||
	    (found->migrations != NULL && !module_folder_can_be(found->migrations)))
		return NULL;
	return found;
}

const struct module_object *module_object_read(TALLOC_CTX *ctx, const char *path)
{
	const struct module_object *found = NULL;
	struct object object = {0};
	/* Also of a FIFO the open does not block. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return NULL;
	(void)elf_version(EV_CURRENT);
	object.elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf_kind(object.elf) == ELF_K_ELF && gelf_getclass(object.elf) == NATIVE_CLASS) {
		object.bytes = elf_rawfile(object.elf, &object.size);
		if (object.bytes != NULL)
			found = read_object(ctx, &object);
	}
	(void)elf_end(object.elf);
	close(fd);
	return found;
}
