"""A children's vocabulary and sentence templates, written for this project: what `induction`'s stories are made of.

Nouns have plurals, verbs have three forms, adjectives have an adverb and two steps of comparison, which together make
about two thousand word forms. Words are lower case; in a story only names begin with a capital letter.
"""

from __future__ import annotations

_NOUNS = """
apple ant arm baby bag ball balloon banana barn basket bath bead bean bear bed bee bell berry bike bird blanket
block boat bone book boot bottle bowl box bread bridge broom brush bubble bucket bug bun bunny bus bush button cabin
cage cake camel can candle cap car card carrot cart castle cat cave chair chalk chick clam clay cliff clock cloth
cloud clown coat coin comb cone cook cookie corn cow crab crayon cricket crown cub cup curtain deer desk dish dog
doll door dot dragon drawer dream dress drum duck ear egg elbow elephant engine eye face fan farm feather fence fern
field finger fire fish flag flower fly foot fork fox frog fruit garden gate gift giraffe girl glass glove goat goose
grape grass hammer hand hat hay hen hill hole home honey hood hook horn horse hose house hut ice insect island
jacket jam jar jewel jug key kid king kite kitten knee knot ladder lake lamb lamp leaf leg lemon letter lid lion
lizard log lunch map mask meadow melon milk mill mirror mitten mole monkey moon moose moth mountain mouse mud mug
nail napkin neck needle nest net night nose nut oak oar oven owl page pail paint pan panda park party path paw pea
peach pear pebble pen pencil penguin pet piano picture pie pig pillow pin pine pipe plane plant plate plum pocket
pond pony pool pot potato puddle pumpkin puppet puppy purse puzzle queen quilt rabbit raft rain rainbow rake rat
ribbon ring river road robe robin robot rock roof room root rope rose rug sack sail salt sand scarf school sea seal
seat seed shadow sheep shell ship shirt shoe shop shovel sister skirt sky sled sleeve slide snail snake snow soap
sock sofa song soup spider spoon spot squirrel stair star stick stone stool storm story stove straw stream street
string sun swan sweater swing table tail tart teapot tent thread throne tiger toad toe tooth top towel tower town
toy track tractor train tray treasure tree truck trumpet trunk tub tulip tunnel turkey turtle twig umbrella vase
vest village vine violin wagon wall walnut wand water wave web well whale wheat wheel whistle wind window wing wolf
wood worm yard zebra
"""
_VERBS = """
ask bake bark blink boil borrow bounce brush build call carry catch chase clap clean climb collect color comb cook
count cover crawl cross cuddle dance dig draw drop dust empty enjoy fetch fill find fix float fold follow gather
greet guess hang help hide hold hop hug hum hunt hurry jump keep kick kiss knit knock laugh learn leave lick lift
like listen look love march melt mend miss mix move nap notice open order pack paint pass pat peek pick plant play
point polish pour pretend promise pull push reach remember rest return roll row rub rush sail save scrub search
share shout sing sip skip sleep smell smile sneeze sniff splash squeeze start stay stir stop stretch sweep swim
swing talk taste thank tickle tie touch tug turn visit wait wake walk want wash watch water wave whisper wiggle wink
wish wonder work wrap yawn
"""
_ADJECTIVES = """
bad big black blue bold brave bright brown busy calm careful cheerful clean clever cold cool cosy curious cute dark
deep dry dull dusty eager early easy empty fair fancy fast fat fine flat fluffy fresh friendly full funny fuzzy
gentle glad golden good grand great green grey grumpy happy hard heavy helpful high hollow hot huge hungry jolly
kind large late lazy light little lonely long loose loud lovely lucky mad merry muddy narrow neat new nice noisy odd
old orange pale pink plain polite poor pretty proud purple quick quiet ready red rich rough round rude sad safe
salty sandy scared shiny short shy silent silly silver simple sleepy slim slow small smart smooth soft sour spotty
square steep sticky stiff still strange striped strong sunny sweet tall tame tasty thick thin tidy tiny tired tough
ugly warm weak weird wet white wide wild windy wise wooden yellow young yummy
"""
NOUNS, VERBS, ADJECTIVES = _NOUNS.split(), _VERBS.split(), _ADJECTIVES.split()

PLACES = (
    "at home",
    "by the river",
    "in the garden",
    "under the old tree",
    "near the pond",
    "on the hill",
    "in the kitchen",
    "by the sea",
    "behind the barn",
    "at the market",
    "in the forest",
    "on the bridge",
    "next to the mill",
    "in the meadow",
    "at school",
    "under the bed",
    "on the roof",
    "in the snow",
    "beside the road",
    "in the tall grass",
)
TIMES = (
    "one day",
    "that morning",
    "after lunch",
    "at night",
    "the next day",
    "in spring",
    "before supper",
    "soon",
    "then",
    "later",
    "at last",
    "on a rainy day",
    "when the sun came up",
    "in the evening",
    "all at once",
    "a little later",
)
TEMPLATES = (
    "{time} {name} went to the {noun} {place}.",
    "{name} saw a {adj} {noun} and a {adj} {noun}.",
    "{name} wanted to {verb} the {noun}.",
    "the {noun} was {adj}, so {name} was {adj} too.",
    '"can you {verb} my {noun}?" asked {name}.',
    '"yes," said {name}, "i will {verb} it {place}."',
    "{time} {name} and {name} made a {adj} {noun}.",
    "{name} put the {nouns} into the {noun}.",
    "{name} gave the {adj} {noun} to {name}.",
    "there were many {nouns} {place}, and {name} liked to {verb} {adv}.",
    "{name} looked at {name} and began to {verb}.",
    "{name} was {verbing} when {name} came {place}.",
    "{time} {name} found two {nouns}.",
    "{name} said that the {noun} was too {adj}.",
    "they could {verb} {adv} {place}, and {name} was {adj}.",
    "{name} has a {noun}, and the {noun} is {adj}.",
    "{time} the {adj} {noun} made {name} {verb}.",
    "{name} told {name} about the {nouns} {place}.",
    "{name} never {verbs} without the {adj} {noun}.",
    '"thank you, {name}," said {name}.',
    "{name} is {adjer} than the {noun}, but {name} is the {adjest} of all.",
)
OPENINGS = (
    "once there was a {adj} child called {name} who had a {noun}.",
    "{name} lived {place} with {name}, a {adj} {noun}.",
    "this is a story about {name} and {name}.",
    "a {adj} {noun} and {name} were {place}.",
)


def plural(noun: str) -> str:
    """The regular plural."""
    if noun.endswith(("s", "x", "sh", "ch")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def third_person(verb: str) -> str:
    """The form after "he" or "she", which follows the rule of plurals."""
    return plural(verb)


def ing(verb: str) -> str:
    """The -ing form, without doubling consonants: it is a vocabulary, not a grammar."""
    return verb[:-1] + "ing" if verb.endswith("e") and not verb.endswith("ee") else verb + "ing"


def adverb(adjective: str) -> str:
    """The -ly form."""
    return adjective[:-1] + "ily" if adjective.endswith("y") else adjective + "ly"


def comparative(adjective: str) -> str:
    """The -er form."""
    return adjective[:-1] + "ier" if adjective.endswith("y") else adjective.removesuffix("e") + "er"


def superlative(adjective: str) -> str:
    """The -est form."""
    return comparative(adjective)[:-1] + "st"


def vocabulary() -> set[str]:
    """Every word form that a story can contain, names apart."""
    phrases = " ".join([*PLACES, *TIMES, *TEMPLATES, *OPENINGS])
    fixed = {word.strip('.,?"') for word in phrases.split() if "{" not in word}
    forms = {*NOUNS, *map(plural, NOUNS), *VERBS, *map(third_person, VERBS), *map(ing, VERBS)}
    of_adjectives = (ADJECTIVES, *(map(form, ADJECTIVES) for form in (adverb, comparative, superlative)))
    return forms.union(fixed, *of_adjectives)
