/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weft completion SHELL`: what makes bash, zsh and fish ask `weft __complete` (complete.c) for the words
 * that may follow. The scripts hold no words of their own, so they stay right when Weft is upgraded.
 */
#include "cli/command.h"

#include <stdio.h>

/* Bash cuts words at ':' and '=' and replaces only what follows the last of them; within quotes it replaces
 * all that follows the quote, and ends the quotes behind the only word that fits: a filter goes on, so it
 * gets a second one. */
static const char bash_script[] =
    "# bash completion of weft; made by `weft completion bash`\n"
    "_weft() {\n"
    "\tlocal line=${COMP_LINE:0:COMP_POINT} word= quote= cut reply files= c i\n"
    "\tlocal -a words\n"
    "\tfor ((i = 0; i < ${#line}; i++)); do\n"
    "\t\tc=${line:i:1}\n"
    "\t\tif [[ $c == $'\\\\' && $quote != \"'\" ]]; then word+=${line:++i:1}\n"
    "\t\telif [[ $quote ]]; then if [[ $c == \"$quote\" ]]; then quote=; else word+=$c; fi\n"
    "\t\telif [[ $c == [\\'\\\"] ]]; then quote=$c\n"
    "\t\telif [[ $c == [[:space:]] ]]; then [[ $word ]] && words+=(\"$word\"); word=\n"
    "\t\telse word+=$c; fi\n"
    "\tdone\n"
    "\twords+=(\"$word\")\n"
    "\tcut=${word##*[:=]}\n"
    "\tcut=${word%\"$cut\"}\n"
    "\t[[ $quote ]] && cut=\n"
    "\tCOMPREPLY=()\n"
    "\twhile IFS=$'\\t' read -r reply _; do\n"
    "\t\tif [[ $reply == :files ]]; then files=yes; else COMPREPLY+=(\"${reply#\"$cut\"}\"); fi\n"
    "\tdone < <(\"${words[0]}\" __complete \"${words[@]:1}\" 2>/dev/null)\n"
    "\t[[ $quote && ${#COMPREPLY[@]} == 1 ]] && COMPREPLY+=(\"${COMPREPLY[0]} \")\n"
    "\tif [[ $files ]]; then\n"
    "\t\tcompopt -o filenames 2>/dev/null\n"
    "\t\twhile IFS= read -r reply; do COMPREPLY+=(\"$reply\"); done < <(compgen -f -- \"${word#\"$cut\"}\")\n"
    "\tfi\n"
    "}\n"
    "complete -F _weft weft\n";

static const char zsh_script[] =
    "#compdef weft\n"
    "# zsh completion of weft; made by `weft completion zsh`\n"
    "_weft() {\n"
    "\tlocal line files\n"
    "\tlocal -a plain described\n"
    "\tfor line in \"${(@f)$(\"$words[1]\" __complete \"${(@)${(@)words[2,CURRENT]}#[\\'\\\"]}\" "
    "2>/dev/null)}\"; do\n"
    "\t\tif [[ $line == ':files' ]]; then files=yes\n"
    "\t\telif [[ $line == *$'\\t'* ]]; then described+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
    "\t\telif [[ -n $line ]]; then plain+=(\"$line\"); fi\n"
    "\tdone\n"
    "\t(( $#described )) && _describe -t words 'weft' described\n"
    "\t(( $#plain )) && compadd -a plain\n"
    "\tif [[ -n $files ]]; then\n"
    "\t\t[[ $PREFIX == --*=* ]] && compset -P '*='\n"
    "\t\t_files\n"
    "\tfi\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _weft ]; then _weft \"$@\"; else compdef _weft weft; fi\n";

static const char fish_script[] = "# fish completion of weft; made by `weft completion fish`\n"
				  "function __weft_complete\n"
				  "\tset -l words (commandline -opc)\n"
				  "\tset -l word (commandline -ct | string replace -r '^[\\'\"]' '')\n"
				  "\tfor line in ($words[1] __complete $words[2..-1] \"$word\" 2>/dev/null)\n"
				  "\t\tif test \"$line\" = :files\n"
				  "\t\t\t__fish_complete_path \"$word\"\n"
				  "\t\telse\n"
				  "\t\t\techo -- $line\n"
				  "\t\tend\n"
				  "\tend\n"
				  "end\n"
				  "complete -c weft -f -a '(__weft_complete)'\n";

int cmd_completion(const struct options_completion *o)
{
	const char *shell = o->args[0];

	if (!strcmp(shell, "bash"))
		printf("%s", bash_script);
	else if (!strcmp(shell, "zsh"))
		printf("%s", zsh_script);
	else if (!strcmp(shell, "fish"))
		printf("%s", fish_script);
	else {
		cli_error("bash, zsh and fish are known", "no completion for the shell \"%s\"", shell);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}
