# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for penstockctl, which says itself what may come next. Nothing that it says is evaluated, and fish quotes what it
# puts into the command line: a label is anybody's text.

# True if what may come next is of the KIND. All conditions below ask it; penstockctl is asked once for all of them, that is when
# the line is another one, or a condition comes again.
function __penstockctl_is --argument-names kind
    set -l line (commandline -cp)
    if test "$line" != "$__penstockctl_line"; or contains -- $kind $__penstockctl_asked
        set -l before (commandline -opc)
        set -e before[1]
        set -g __penstockctl_line "$line"
        set -g __penstockctl_asked
        set -g __penstockctl_said (command penstockctl __complete $before (commandline -ct) 2>/dev/null)
    end
    set -ga __penstockctl_asked $kind
    set -q __penstockctl_said[1]; and string match -q -- "$kind*" $__penstockctl_said[1]
end

# The command of `run -- COMMAND…`, as a command line of its own.
function __penstockctl_command
    set -l before (commandline -opc)
    set -l first (math 2 + (string replace 'command ' '' -- $__penstockctl_said[1]))
    complete -C (string join ' ' -- (string escape -- $before[$first..-1]) (commandline -ct))
end

complete -c penstockctl -f
complete -c penstockctl -n '__penstockctl_is words' -k -a '$__penstockctl_said[2..-1]'
complete -c penstockctl -n '__penstockctl_is files' -F
complete -c penstockctl -n '__penstockctl_is directories' -a '(__fish_complete_directories (commandline -ct))'
complete -c penstockctl -n '__penstockctl_is users' -a '(__fish_complete_users)'
complete -c penstockctl -n '__penstockctl_is command' -a '(__penstockctl_command)'
