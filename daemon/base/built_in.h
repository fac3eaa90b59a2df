/* Files that are built into the program. */
#ifndef BASE_BUILT_IN_H
#define BASE_BUILT_IN_H

/*
 * Declares `symbol`, the file's content with a NUL behind it, which the assembler includes. The path is seen from the
 * project's top folder, where the build runs. The compiler's dependency files do not know of the file: the Makefile
 * names it as a prerequisite of the object.
 */
#define BUILT_IN(symbol, path)                                                                                         \
	__asm__(".pushsection .rodata\n" #symbol ":\n.incbin \"" path "\"\n.byte 0\n.popsection\n");                   \
	extern const char symbol[]

#endif
