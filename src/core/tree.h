/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/tree: an ordered set whose nodes lie in what it holds, so that nothing in it can fail. A treap: as deep as a
 * balanced tree in the mean, whatever order the nodes come in; libc's tsearch(3) allocates. libc only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct TreeNode {
        struct TreeNode *left, *right;
} TreeNode;

/* A strict total order: of two different nodes one is before the other. What it looks at must not change while they are in
 * a tree. */
typedef bool TreeBefore(const TreeNode *a, const TreeNode *b);

/* @node must be in no tree by these fields. */
void tree_insert(TreeNode **root, TreeNode *node, TreeBefore *before);
/* @node must be in it. */
void tree_remove(TreeNode **root, TreeNode *node, TreeBefore *before);
TreeNode *tree_first(TreeNode *root); /* NULL: it is empty */
/* The next behind @node, which may be in it or not. NULL: there is none. */
TreeNode *tree_after(TreeNode *root, const TreeNode *node, TreeBefore *before);

/* The @type whose @member @node is. */
#define TREE_ENTRY(node, type, member) ((type *) ((char *) (node) - offsetof(type, member)))
