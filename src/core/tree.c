/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/tree.h"

#include <assert.h>
#include <stdint.h>

/* A node is above those of a lesser weight. Any number that has nothing to do with the order does (splitmix64). */
static uint64_t weight(const TreeNode *node) {
        uint64_t z = (uint64_t) (uintptr_t) node + UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

void tree_insert(TreeNode **root, TreeNode *node, TreeBefore *before) {
        TreeNode **link = root, *rest, **left = &node->left, **right = &node->right;

        while (*link && weight(*link) >= weight(node))
                link = before(*link, node) ? &(*link)->right : &(*link)->left;
        rest = *link;
        *link = node;
        while (rest) { /* what was there goes to its two sides */
                if (before(rest, node)) {
                        *left = rest;
                        left = &rest->right;
                        rest = rest->right;
                } else {
                        *right = rest;
                        right = &rest->left;
                        rest = rest->left;
                }
        }
        *left = *right = NULL;
}

void tree_remove(TreeNode **root, TreeNode *node, TreeBefore *before) {
        TreeNode **link = root, *left = node->left, *right = node->right;

        while (*link != node) {
                assert(*link);
                link = before(*link, node) ? &(*link)->right : &(*link)->left;
        }
        while (left && right) {
                TreeNode **upper = weight(left) > weight(right) ? &left : &right;

                *link = *upper;
                link = *upper == left ? &left->right : &right->left;
                *upper = *link;
        }
        *link = left ? left : right;
}

TreeNode *tree_first(TreeNode *root) {
        while (root && root->left)
                root = root->left;
        return root;
}

TreeNode *tree_after(TreeNode *root, const TreeNode *node, TreeBefore *before) {
        TreeNode *next = NULL;

        while (root)
                if (before(node, root)) {
                        next = root;
                        root = root->left;
                } else
                        root = root->right;
        return next;
}
