"""Conventions of A4; :mod:`resnorm.course.variants` explains their form."""

DROPPING = {
    "6210252e": [
        (
            "the branch of block $i$ is active with the probability $p_i$, independently of the others",
            "the branch of block $i$ is *dropped* with the probability $q_i$, independently of the others",
        ),
        ("_distribution(survival)`", "_distribution(drop)`"),
        (
            "for a list of $n$ probabilities, the",
            "for a list of $n$ probabilities of *dropping*, the",
        ),
        ("_given_length(survival, length)`", "_given_length(drop, length)`"),
        (
            "The new distribution is $(1-p)$ times the old one, plus $p$ times the old one moved by one place.",
            "The new distribution is $q$ times the old one, plus $(1-q)$ times the old one moved by one place.",
        ),
        (r"=p_i\,P_", r"=(1-q_i)\,P_"),
    ],
    "lengths": [
        ("survival", "drop"),
        ("n probabilities", "n drop rates"),
        ("    for p in drop:\n", "    for p in (1 - q for q in drop):\n"),
        ("enumerate(drop)", "enumerate(1 - q for q in drop)"),
    ],
    "test_distribution": [
        ("[0.7, 0.7]", "[0.3, 0.3]"),
        ("active with 0.7 each", "dropped with 0.3 each"),
        ("[1.0, 0.6, 0.8]", "[0.0, 0.4, 0.2]"),
        (
            "three branches with 1, 0.6 and 0.8",
            "three branches dropped with 0, 0.4 and 0.2",
        ),
    ],
    "test_given": [
        ("[0.9, 0.5]", "[0.1, 0.5]"),
        (
            "two branches with 0.9 and 0.5, of",
            "two dropped with 0.1 and 0.5, of",
        ),
        ("[1.0, 0.6, 0.8]", "[0.0, 0.4, 0.2]"),
        (
            "three branches with 1, 0.6 and 0.8, of",
            "three dropped with 0, 0.4 and 0.2, of",
        ),
    ],
}
LOG_ODDS = {
    "6210252e": [
        (
            "with the probability $p_i$, independently",
            "with the probability $p_i=1/(1+e^{-w_i})$, independently",
        ),
        (
            "each block has a probability of its own",
            "each block has log-odds $w_i$ of its own",
        ),
        ("_distribution(survival)`", "_distribution(log_odds)`"),
        (
            "for a list of $n$ probabilities, the",
            "for the list of the $n$ log-odds, the",
        ),
        ("_given_length(survival, length)`", "_given_length(log_odds, length)`"),
    ],
    "lengths": [
        ("survival", "log_odds"),
        ("n probabilities", "n log-odds"),
        (
            "    for p in log_odds:\n",
            "    for w in log_odds:\n        p = 1 / (1 + math.exp(-w))\n",
        ),
        (
            "for i, p in enumerate(log_odds):\n",
            "for i, w in enumerate(log_odds):\n        p = 1 / (1 + math.exp(-w))\n",
        ),
    ],
    "test_distribution": [
        ("([0.7, 0.7])", "([math.log(7 / 3)] * 2)"),
        ("that are active with 0.7 each", "with the odds 7 : 3"),
        ("[0.0, 0.08, 0.44, 0.48]", "[0.04, 0.26, 0.46, 0.24]"),
        (
            "checking.close(length_distribution([1.0, 0.6, 0.8]), expected, name=name)",
            "found = length_distribution([0.0, math.log(1.5), math.log(4)])\nchecking.close(found, expected, name=name)",
        ),
        (
            "three branches with 1, 0.6 and 0.8",
            "three branches with the odds 1, 1.5 and 4",
        ),
    ],
    "test_given": [
        ("[0.9, 0.5]", "[math.log(9), 0.0]"),
        ("two branches with 0.9 and 0.5, of", "two branches with the odds 9 and 1, of"),
        ("[1.0, 0.6, 0.8]", "[0.0, math.log(1.5), math.log(4)]"),
        (
            "torch.tensor([0.44, 0.12, 0.32], dtype=double) / 0.44",
            "torch.tensor([0.22, 0.3, 0.4], dtype=double) / 0.46",
        ),
        (
            "three branches with 1, 0.6 and 0.8, of",
            "three with the odds 1, 1.5 and 4, of",
        ),
    ],
}

ROWS = {
    "74643f7b": [
        (
            "are matrices, $x_{i+1}=S_ix_i+A_ix_i$, and block 0 comes first.",
            "are matrices that act on *row* vectors, $x_{i+1}=x_iS_i+x_iA_i$, and block 0 comes first.",
        ),
        ("$x_1=M_0x_0$ and $x_2=M_1x_1$.", "$x_1=x_0M_0$ and $x_2=x_1M_1$."),
    ],
    "unravel": [
        ("(D_{i+1}, D_i)", "(D_i, D_{i+1})"),
        ("(D_n, D_0)", "(D_0, D_n)"),
        ("shortcuts[0].shape[1]", "len(shortcuts[0])"),
        (
            "result = (a if i in taken else s) @ result",
            "result = result @ (a if i in taken else s)",
        ),
        ("whole = (s + a) @ whole", "whole = whole @ (s + a)"),
        (
            "kept = (s if i in removed else s + a) @ kept",
            "kept = kept @ (s if i in removed else s + a)",
        ),
    ],
    "matrices": [
        (
            "random = torch.randn(b, a, dtype=double)",
            "random = torch.randn(a, b, dtype=double)",
        ),
        (
            "scale * torch.randn(b, a, dtype=double)",
            "scale * torch.randn(a, b, dtype=double)",
        ),
    ],
    "test_path": [
        ("A[2] @ S[1] @ A[0]", "A[0] @ S[1] @ A[2]"),
        ("S[2] @ A[1] @ S[0]", "S[0] @ A[1] @ S[2]"),
    ],
    "test_taken_away": [
        (
            "(S[2] + A[2]) @ (S[1] + A[1]) @ A[0]",
            "A[0] @ (S[1] + A[1]) @ (S[2] + A[2])",
        ),
        ("A[2] @ m @ n for", "n @ m @ A[2] for"),
        ("S[2] @ (S[1] + A[1]) @ A[0]", "A[0] @ (S[1] + A[1]) @ S[2]"),
    ],
    "by_length": [
        ("(D_{i+1}, D_i)", "(D_i, D_{i+1})"),
        ("s.shape[1]", "len(s)"),
        ("rows @ s,", "rows @ s.T,"),
        ("rows @ a]", "rows @ a.T]"),
    ],
    "05e992d2": [
        (
            "`R @ S` keeps its place and gets a row of zeros below; `R @ A` gets",
            "`R @ S.T` keeps its place and gets a row of zeros below; `R @ A.T` gets",
        ),
    ],
    "test_by_length": [
        ("g @ A[2] @ A[1] @ A[0]", "A[0] @ A[1] @ A[2] @ g"),
        ("[A[2] @ S[1] @ S[0], S[2]", "[S[0] @ S[1] @ A[2], S[2]"),
        (
            "S[2] @ A[1] @ S[0], S[2] @ S[1] @ A[0]]",
            "S[0] @ A[1] @ S[2], A[0] @ S[1] @ S[2]]",
        ),
        ("g @ sum(around)", "sum(around) @ g"),
        ("y = (s + a) @ y", "y = y @ (s + a)"),
        ("g @ S[2] @ S[1] @ S[0]", "S[0] @ S[1] @ S[2] @ g"),
    ],
}
SKIPPED = {
    "74643f7b": [
        ("branches, taken)`", "branches, skipped)`"),
        (
            "that takes the branches of the blocks in the set `taken` and the shortcuts of all others.",
            "that *skips* the branches of the blocks in the set `skipped`, where it takes the shortcuts, and takes all other branches.",
        ),
        ("branches, removed)`", "branches, left)`"),
        (
            "if the branches in the set `removed` are gone, that is, the sum over all paths that take *at least one* of them.",
            "if only the branches in the set `left` are left, that is, the sum over all paths that take *at least one* of the others.",
        ),
    ],
    "unravel": [
        ("branches, taken)", "branches, skipped)"),
        ("(a if i in taken else s)", "(s if i in skipped else a)"),
        ("branches, removed)", "branches, left)"),
        ("(s if i in removed else s + a)", "(s + a if i in left else s)"),
    ],
    "test_path": [
        ("path(S, A, {2, 0}), A[2]", "path(S, A, {1}), A[2]"),
        ("path(S, A, {1}), S[2]", "path(S, A, {0, 2}), S[2]"),
        ('f"the path {sorted(taken)}"', 'f"the path that skips {sorted(taken)}"'),
    ],
    "test_taken_away": [
        ("taken_away(S, A, {0})", "taken_away(S, A, {1, 2})"),
        ("taken_away(S, A, {0, 2})", "taken_away(S, A, {1})"),
        ("{0, 1, 2, 3})", "{0, 1, 2})"),
        ('f"without {sorted(removed)}"', 'f"with {sorted(removed)} alone"'),
        ('"four of thirty blocks"', '"with four of thirty alone"'),
    ],
    "by_length": [
        (
            "torch.cat([rows @ s, zero]) + torch.cat([zero, rows @ a])",
            "torch.cat([rows @ a, zero]) + torch.cat([zero, rows @ s])",
        ),
    ],
    "05e992d2": [
        (
            "Sort this sum by length:",
            "Sort this sum by what the paths skip:",
        ),
        (
            "the part that all paths with exactly $k$ branches carry to the input together.",
            "the part that all paths which go *around* exactly $k$ branches carry to the input together.",
        ),
        (
            "Keep one row per length and start with one row, the gradient itself, which has passed no branch.",
            "Keep one row per number of skipped branches and start with one row, the gradient itself, which has skipped none.",
        ),
        (
            "A part goes through the shortcut and keeps its length, and a part goes through the branch.",
            "A part goes through the branch and keeps its place, and a part goes around it.",
        ),
        (
            "`R @ S` keeps its place and gets a row of zeros below; `R @ A` gets",
            "`R @ A` keeps its place and gets a row of zeros below; `R @ S` gets",
        ),
    ],
    "test_by_length": [
        ("rows[3], g @", "rows[0], g @"),
        ("rows[1], g @", "rows[2], g @"),
        (
            "joined(rows[:5].sum(0), rows[0])",
            "joined(rows[:5].sum(0), rows[3])",
        ),
        ("rows[:25]", "rows[-25:]"),
        (
            "what each length carries through",
            "the parts by branches skipped in",
        ),
    ],
}

GATES = {
    "b3f51c60": [
        (
            "`run_without(blocks, x, removed=())`",
            "`run_without(blocks, x, gates=None)`",
        ),
        (
            "the network without the *branches* of the blocks in `removed`. Their shortcuts stay, so a block that changes the shape can be operated on, too.",
            "the network in which the *branch* of each block is multiplied by its number in the list `gates`, so 0 removes it, 1 leaves it as it is, and other numbers are allowed, too. Without gates all are 1. The shortcuts stay as they are, so a block that changes the shape can be operated on.",
        ),
        (
            "`run_in_order(blocks, x, order, removed=())`",
            "`run_in_order(blocks, x, order, gates=None)`",
        ),
        (
            "The numbers in `removed` are those of `blocks`, not places in the new order.",
            "`gates[i]` belongs to `blocks[i]`, not to a place in the new order.",
        ),
        (
            "and `i in removed` decides whether the branch is added.",
            "and `gates[i]` says how much of the branch is added.",
        ),
    ],
    "surgery": [
        ("removed=()", "gates=None"),
        ("range(len(blocks)), removed)", "range(len(blocks)), gates)"),
        ("a tensor, indices ->", "a tensor, numbers ->"),
        (
            "x = y if i in removed else y + branch(x)",
            "x = y + (1 if gates is None else gates[i]) * branch(x)",
        ),
    ],
    "test_without": [
        ("(keeping, x, {0, 2, 3})", "(keeping, x, [0, 1, 0, 0])"),
        ("(changing, x.clone(), [1, 2, 3])", "(changing, x.clone(), [1, 0, 0, 0])"),
        ("(keeping, x, {1})", "(keeping, x, [1, 0, 1, 2])"),
        ("(changing, x.clone(), {0, 2})", "(changing, x.clone(), [0, 1, -2, 1])"),
        ("(changing, x, {1})", "(changing, x, [1, 0, 1, 3])"),
        ("(changing, x, {0, 3})", "(changing, x, [0, 1, 1, 0])"),
        ("(doubled, x, (1, 3))", "(doubled, x, (1, 2, 1, 0))"),
        ("without one branch, without none", "with gates, without any"),
        ('"without two branches"', '"with other gates"'),
        (
            "without the branch that changes the shape",
            "a gate for the change of the shape",
        ),
        ("without two branches, twice", "two networks with gates"),
    ],
    "test_order": [
        ("[3, 0, 1, 2], {0})", "[3, 0, 1, 2], [0, 1, 1, 1])"),
        ("[0, 1, 3, 2], [0, 2])", "[0, 1, 3, 2], [0, 1, 0, 1])"),
        ("[2, 0, 3, 1], {3})", "[2, 0, 3, 1], [1, 1, 1, 0])"),
        ("[1, 2, 0, 3], {0, 3})", "[1, 2, 0, 3], [0, 0.5, 1, 0])"),
        ("another order, two branches removed", "another order, with gates"),
    ],
    "operations": [
        (
            "        h = run_in_order(model.pairs, h, order, removed)\n",
            "        gates = [float(i not in removed) for i in range(BLOCKS)]\n        h = run_in_order(model.pairs, h, order, gates)\n",
        ),
        (
            "        h = run_without(model.pairs, model.stem(images_of(number).test_images), removed)\n",
            "        gates = [float(i not in removed) for i in range(BLOCKS)]\n        h = run_without(model.pairs, model.stem(images_of(number).test_images), gates)\n",
        ),
    ],
}
MEANS = {
    "b3f51c60": [
        (
            "the network without the *branches* of the blocks in `removed`. Their shortcuts stay, so a block that changes the shape can be operated on, too.",
            "the network in which the *branches* of the blocks in `removed` say nothing about single images: each gives the *mean* over the batch (axis 0) of what it computes at this place. Then later blocks meet values of the usual size. The shortcuts stay as they are.",
        ),
        (
            "What does a network without any branch compute? It is not always `x`.",
            "What does a network compute in which all branches give their means? The mean is taken of the branch's output, not of its input.",
        ),
        (
            "decides whether the branch is added.",
            "decides whether the branch or its `mean(0)` is added.",
        ),
    ],
    "surgery": [
        (
            "        x = y if i in removed else y + branch(x)\n",
            "        change = branch(x)\n        x = y + (change.mean(0, keepdim=True) if i in removed else change)\n",
        ),
    ],
    "test_without": [
        (
            "expected = joined(before + torch.sin(-before), before)\n",
            "h = before + torch.sin(0.5 * before).mean(0)\nh = h + torch.sin(-h)\nfor a in (2.0, 1.4):\n    h = h + torch.sin(a * h).mean(0)\nexpected = joined(h, before)\n",
        ),
        ("one branch alone, and x", "one branch and the means of three, and x"),
        (
            "expected = (h[:, ::2] + h[:, 1::2]) / 2\n",
            "h = (h[:, ::2] + h[:, 1::2]) / 2 + torch.sin(-1.5 * h[:, ::2]).mean(0)\nfor a in (2.0, 0.7):\n    h = h + torch.sin(a * h).mean(0)\nexpected = h\n",
        ),
        (
            "the first branch and the shortcut that changes the shape",
            "the first branch and the means of three",
        ),
    ],
    "test_order": [
        (
            "for a in (1.4, -1.0, 2.0):\n    expected = expected + torch.sin(a * expected)\n",
            "for a in (1.4, 0.5, -1.0, 2.0):\n    change = torch.sin(a * expected)\n    expected = expected + (change.mean(0) if a == 0.5 else change)\n",
        ),
        (
            "h = (x[:, ::2] + x[:, 1::2]) / 2 + torch.sin(-1.5 * x[:, ::2])\nexpected = h + torch.sin(0.7 * h)\n",
            "h = x + torch.sin(0.5 * x).mean(0)\nh = (h[:, ::2] + h[:, 1::2]) / 2 + torch.sin(-1.5 * h[:, ::2])\nh = h + torch.sin(0.7 * h)\nexpected = h + torch.sin(2 * h).mean(0)\n",
        ),
    ],
    "operations": [
        (
            "# a hook sets the branch's output to 0 for a while",
            "# a hook replaces the branch's output by its mean",
        ),
        (
            "        hooks = [f.register_forward_hook(lambda m, x, y: 0 * y) for f in branches]\n",
            "        mean = lambda m, x, y: 0 * y + y.mean(0)\n        hooks = [f.register_forward_hook(mean) for f in branches]\n",
        ),
    ],
    "a4-sweep-text": [
        (
            "its loss without the branches of blocks 2 and 5:",
            "its loss when the branches of blocks 2 and 5 give only their means:",
        ),
    ],
    "a4-task-8": [
        (
            "Removing one branch leaves $2^7$ of $2^8$ paths, whichever block it is.",
            "Removing a branch means here what it means in Task 3: only its mean over the images stays. This leaves $2^7$ of $2^8$ paths on which images differ, whichever block it is.",
        ),
    ],
}

SCORES = {
    "0abf579f": [
        (
            "You are given `loss`, a function from a set of removed blocks to the network's loss.",
            "You are given `score`, a function from a set of removed blocks to the network's score. The *higher* it is, the better.",
        ),
        ("`interactions(loss, n)`", "`interactions(score, n)`"),
        (
            "A *cost* is a rise of the loss over that of the whole network, not the loss itself.",
            "A *cost* is a *fall* of the score below that of the whole network.",
        ),
        ("Call `loss` once", "Call `score` once"),
        (
            "`mean_and_variance(loss, survival)` (2 points): every branch $i$ survives with its own probability,",
            "`mean_and_variance(score, drop)` (2 points): every branch $i$ *fails* with its own probability `drop[i]`,",
        ),
        ("exact variance of the loss,", "exact variance of the score,"),
        ("the whole network has the loss 0.2.", "the whole network has the score 0.9."),
        (
            "the loss of the whole network appears",
            "the score of the whole network appears",
        ),
        (
            r"$\ell(\{i,j\})-\ell(\{i\})-\ell(\{j\})+\ell(\varnothing)$.",
            r"$s(\{i\})+s(\{j\})-s(\{i,j\})-s(\varnothing)$, with $s$ for the score.",
        ),
    ],
    "pairs": [
        ("loss", "score"),
        ("survival", "drop"),
        (
            "score({i, j}) - single[i] - single[j] + whole",
            "single[i] + single[j] - score({i, j}) - whole",
        ),
        ("p if k else 1 - p", "1 - p if k else p"),
    ],
    "losses": [
        ("has the loss 0.25, and", "has the score 0.25, and"),
        ("return 0.25 + sum(", "return 0.25 - sum("),
        ("has the loss 0.2.", "has the score 2."),
        (
            "{(): 0.2, (0,): 0.3, (1,): 0.5, (2,): 0.2}",
            "{(): 2.0, (0,): 1.9, (1,): 1.7, (2,): 2.0}",
        ),
        (
            "{(0, 1): 1.2, (0, 2): 0.3, (1, 2): 0.4, (0, 1, 2): 2.0}",
            "{(0, 1): 1.0, (0, 2): 1.9, (1, 2): 1.8, (0, 1, 2): 0.2}",
        ),
    ],
    "test_interactions": [
        (
            "the interactions of three blocks",
            "the interactions of three blocks, by scores",
        )
    ],
    "test_masks": [
        ("[0.8, 0.5]", "[0.2, 0.5]"),
        ("0.25 + 0.2 + 2 * 0.5", "0.25 - 0.2 - 2 * 0.5"),
        ("[1.0, 0.9, 1.0]", "[0.0, 0.1, 0.0]"),
        ("[0.23, 0.0081]", "[1.97, 0.0081]"),
    ],
    "a4-sweep-text": [
        (
            "`interactions(loss, 8)`",
            "`interactions(lambda removed: -loss(removed), 8)`",
        ),
        (
            "`mean_and_variance(loss, [0.9] * 8)`",
            "`mean_and_variance(loss, [0.1] * 8)`",
        ),
    ],
}
WHAT_IS_KEPT = {
    "0abf579f": [
        (
            "a function from a set of removed blocks to the network's loss.",
            "a function from the set of the blocks that are *kept* to the network's loss.",
        ),
        (
            r"$\ell(\{i,j\})-\ell(\{i\})-\ell(\{j\})+\ell(\varnothing)$.",
            r"$\ell(\{i,j\})-\ell(\{i\})-\ell(\{j\})+\ell(\varnothing)$, if $\ell$ is written as a function of what is *removed*.",
        ),
    ],
    "pairs": [
        (
            "    whole, single = loss(set()), [loss({i}) for i in range(n)]\n",
            "    blocks = set(range(n))\n    whole, single = loss(blocks), [loss(blocks - {i}) for i in range(n)]\n",
        ),
        ("loss({i, j})", "loss(blocks - {i, j})"),
        ("if not k})", "if k})"),
    ],
    "losses": [
        (
            'def adding(removed):\n    """The whole network has the loss 0.25, and',
            'def adding(kept):\n    """With all of three blocks the loss is 0.25, and',
        ),
        (
            "return 0.25 + sum(i + 1.0 for i in removed)",
            "return 6.25 - sum(i + 1.0 for i in kept)",
        ),
        ("def three_blocks(removed):", "def three_blocks(kept):"),
        (
            "{(): 0.2, (0,): 0.3, (1,): 0.5, (2,): 0.2}",
            "{(): 2.0, (0,): 0.4, (1,): 0.3, (2,): 1.2}",
        ),
        (
            "{(0, 1): 1.2, (0, 2): 0.3, (1, 2): 0.4, (0, 1, 2): 2.0}",
            "{(0, 1): 0.2, (0, 2): 0.5, (1, 2): 0.3, (0, 1, 2): 0.2}",
        ),
        ("tuple(sorted(removed))", "tuple(sorted(kept))"),
    ],
    "test_interactions": [
        (
            "the interactions of three blocks",
            "three blocks that can be kept",
        )
    ],
    "test_masks": [
        ("0.25 + 0.2 + 2 * 0.5", "3.25 + 0.2 + 2 * 0.5"),
    ],
    "a4-sweep-text": [
        (
            "`interactions(loss, 8)`",
            "`interactions(lambda kept: loss(set(range(8)) - kept), 8)`",
        ),
        (
            "`mean_and_variance(loss, [0.9] * 8)`",
            "`mean_and_variance(lambda kept: loss(set(range(8)) - kept), [0.9] * 8)`",
        ),
    ],
}

SCALED_LATER = {
    "a4-task-6": [
        (
            "Chapter 3.2 flips one coin for a whole minibatch, and it scales the branch in evaluation. Write a form that decides within the minibatch and scales in training, as current networks do, and that computes the branch only for the images that use it:",
            "Chapter 3.2 flips one coin for a whole minibatch. Write a form that flips one for each image and computes the branch only for the images that use it:",
        ),
        (
            r"the survival probabilities of $n\ge2$ blocks fall evenly from exactly 1 at the first block to `last` at the last.",
            r"the survival probabilities of $n\ge1$ blocks fall evenly, as in the paper ([Huang et al., 2016](https://arxiv.org/abs/1603.09382)): a block *before* the first one would have exactly 1, and the last one has `last`.",
        ),
        (
            "Where it does, the branch is **divided by** `survival`, so that evaluation needs no scaling: there the output is $s(x)+f(x)$.",
            r"Where it does, all of the branch is added. In evaluation the branch is **multiplied by** $p$, the value of `survival`: there the output is $s(x)+p\,f(x)$.",
        ),
        (
            "How many steps lie between the first and the last of $n$ blocks?",
            "How many steps lie between the block before the first one and the last of $n$ blocks?",
        ),
        ("self.branch(x[kept]) / self.survival`", "self.branch(x[kept])`"),
    ],
    "stochastic": [
        (
            "1 - i / (n - 1) * (1 - last) for i in range(n)",
            "1 - (i + 1) / n * (1 - last) for i in range(n)",
        ),
        ("return y + self.branch(x)\n", "return y + self.survival * self.branch(x)\n"),
        (" / self.survival", ""),
    ],
    "test_survivals": [
        ("[1.0, 0.9, 0.8, 0.7, 0.6]", "[0.92, 0.84, 0.76, 0.68, 0.6]"),
        ("[1.0, 0.5]", "[0.75, 0.5]"),
    ],
    "test_depth": [
        (
            'checking.close(y, x + torch.tanh(x), name="the block',
            'checking.close(y, x + 0.75 * torch.tanh(x), name="the block',
        ),
        ("(change - torch.tanh(before) / 0.75)", "(change - torch.tanh(before))"),
        ("divided by 0.75, or nothing", "or nothing of it"),
        (
            "(change - 2 * torch.sin(2 * half))",
            "(change - torch.sin(2 * half))",
        ),
        (
            "joined(half + torch.sin(2 * half), 1.0, half)",
            "joined(half + 0.5 * torch.sin(2 * half), 1.0, half)",
        ),
        ("torch.tanh(before) / 0.3", "torch.tanh(before)"),
        ("kept, divided by 0.3, by 0.3", "kept by 0.3"),
        ("change - 4 * torch.sin", "change - torch.sin"),
    ],
    "test_arrive": [
        (
            "change[kept] - 2 * (arrived - arrived.mean(0))",
            "change[kept] - (arrived - arrived.mean(0))",
        ),
        ("(arrived - arrived.mean(0)) / survival", "(arrived - arrived.mean(0))"),
        ("(change - 2 * torch.tanh(x))", "(change - torch.tanh(x))"),
        ("(change - 4 * torch.tanh(x))", "(change - torch.tanh(x))"),
        (" and is divided by 0.5", ""),
    ],
    "laboratory": [
        (
            "return y + self.drop(self.branch(x))",
            "return y + self.survival * self.drop(self.branch(x))",
        ),
        (
            "        self.branch, self.shortcut = branch, shortcut\n",
            "        self.branch, self.shortcut, self.survival = branch, shortcut, survival\n",
        ),
        (
            "class library(nn.Module):",
            'class Scaled(nn.Module):\n    """The branch as it counts in evaluation."""\n\n    def __init__(self, branch, survival):\n        super().__init__()\n        self.branch, self.survival = branch, survival\n\n    def forward(self, x):\n        return self.survival * self.branch(x)\n\n\nclass library(nn.Module):',
        ),
    ],
    "network": [
        (
            "        end = [",
            "        scaled = zip(self.pairs, survival)\n        self.pairs = [(s, Scaled(f, p)) for (s, f), p in scaled]\n        end = [",
        ),
    ],
    "operations": [
        (
            "model.pairs[i][1] for i in removed",
            "model.pairs[i][1].branch for i in removed",
        ),
    ],
}
NEIGHBORS = {
    "a4-task-6": [
        (
            r"of $n\ge2$ blocks fall evenly from exactly 1 at the first block to `last` at the last.",
            r"of $n\ge2$ blocks fall by the same *factor* from each block to the next, from exactly 1 at the first block to `last` at the last.",
        ),
        (
            "in training every *image* keeps the branch with the probability `survival`, independently of the others. Where it does,",
            "in training *two neighbors* in the batch share a coin: the images 0 and 1, the images 2 and 3, and so on. (If the number of images is odd, the last one has a coin of its own.) A pair keeps the branch with the probability `survival`, independently of the other pairs. Where it does,",
        ),
        (
            "How many steps lie between the first and the last of $n$ blocks?",
            "How many steps lie between the first and the last of $n$ blocks? The factor of one step is a root of `last`.",
        ),
        (
            "`kept = torch.rand(len(x)) < survival` has one entry for each image, and `x[kept]` holds the images that stay.",
            "`x[kept]` holds the images that stay, if `kept` has one Boolean for each image. `repeat_interleave(2)` writes each entry twice.",
        ),
    ],
    "stochastic": [
        (
            "1 - i / (n - 1) * (1 - last) for i in range(n)",
            "last ** (i / (n - 1)) for i in range(n)",
        ),
        (
            "        kept = torch.rand(len(x)) < self.survival\n",
            "        coins = torch.rand((len(x) + 1) // 2) < self.survival\n        kept = coins.repeat_interleave(2)[: len(x)]\n",
        ),
    ],
    "test_survivals": [
        ("survivals(5, 0.6)", "survivals(5, 0.0625)"),
        ("[1.0, 0.9, 0.8, 0.7, 0.6]", "[1.0, 0.5, 0.25, 0.125, 0.0625]"),
        ("the last with 0.6", "the last with 1/16"),
        ("survivals(2, 0.5)", "survivals(3, 0.25)"),
        ("[1.0, 0.5]", "[1.0, 0.5, 0.25]"),
        ("two blocks, the last with 0.5", "three blocks, the last with 0.25"),
        ("(3, 0.0)", "(3, 0.01)"),
    ],
    "test_depth": [
        ("  # each image has a coin of its own", "  # two neighbors share a coin"),
        ("and not pairs", "and pairs"),
        ("whether an image has all of", "whether two neighbors have all of"),
        ("0.75, or nothing (1: yes)", "0.75, or none (1: yes)"),
        ("whether images skip only the branch", "whether pairs skip the branch"),
    ],
    "test_arrive": [
        ("and not pairs", "and pairs"),
        ("only images that keep it", "only pairs that keep it"),
    ],
}

CONVENTIONS = {
    "probabilities": {
        "rates of dropping": DROPPING,
        "log-odds": LOG_ODDS,
    },
    "paths": {
        "row vectors": ROWS,
        "sets name what is skipped": SKIPPED,
    },
    "lesions": {
        "gates": GATES,
        "the mean stays": MEANS,
    },
    "pairs of blocks": {
        "scores": SCORES,
        "sets name what is kept": WHAT_IS_KEPT,
    },
    "stochastic depth": {
        "scaled in evaluation": SCALED_LATER,
        "neighbors share a coin": NEIGHBORS,
    },
}
