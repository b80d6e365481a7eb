"""A children's vocabulary and sentence templates, written for this project: what `induction`'s stories are made of.

Nouns have plurals, verbs have three forms, adjectives have an adverb and two steps of comparison, which together make
about three thousand word forms. Words are lower case; in a story only names begin with a capital letter.
"""

from __future__ import annotations

_NOUNS = """
acorn airplane alley anchor angel ant apple apron arch arm arrow attic aunt axe baby badge bag bakery ball balloon
banana bandage banner barn barrel basket bat bath beach bead beak bean bear beaver bed bee beetle bell bench berry
bib bike bird blanket block boat bone bonfire bonnet book boot bottle boulder bow bowl box bracelet branch bread
brick bridge broom brother brush bubble bucket bud buffalo bug bumblebee bun bunny burrow bus bush butterfly button
cabbage cabin cactus cage cake calf camel can candle cannon canoe cap captain car caravan card cardigan carpet
carrot cart castle cat cave cavern cellar chair chalk cherry chest chestnut chick chicken chimney chipmunk clam clay
cliff clock cloth cloud clover clown coat cobbler coconut coin collar colt comb compass cone cook cookie corn
cottage cousin cow crab cradle crane crayon creek cricket crow crown cub cup cupboard curl curtain cushion dairy
daisy deer den desert desk dinner dish diver dog doll donkey door dot dough dove dragon drawer dream dress driver
drum duck dumpling dune eagle ear easel egg elbow elephant elf engine envelope eye face fairy falcon fan farm farmer
father fawn feather fence fern ferry fiddle field finger fire fish flag flame flower flute fly foal fog foot
footprint fork fort fountain fox friend frog fruit gander garage garden gate giant gift ginger giraffe girl glass
globe glove gnome goat goblin goldfish goose gorilla grandmother grape grass grove guitar gull hammer hamster hand
harbor harp hat hawk hay hedge hedgehog helmet hen heron hill hippo hive hobby hole home honey hood hoof hook horn
horse hose house hut ice igloo inn insect island ivy jacket jam jar jellyfish jewel jigsaw jug jungle kangaroo
kennel kettle key kid king kingdom kite kitten knee knot koala lace ladder ladle ladybug lake lamb lamp lane lantern
lark lavender leaf leg lemon leopard letter lid lighthouse lily lion lizard llama lobster locket log lullaby lunch
magnet magpie map maple marble mask meadow melon mermaid meteor milk mill minnow mirror mitten moat mole monkey moon
moose mop morning moth mother mountain mouse mud muffin mug mushroom mustache nail napkin neck needle neighbor nest
net nickel night nightingale noodle nose nursery nut oak oar oatmeal ocean octopus olive onion orchard otter oven
owl ox oyster paddle page pail paint palace pan pancake panda parade park parrot parsnip party pasture path paw pea
peach peacock peanut pear pebble pelican pen pencil penguin pepper pet piano picture pie pig pigeon pillow pilot pin
pine pipe pirate pitcher plane plant plate platypus plow plum pocket pocketbook poem pond pony pool poppy porch
porcupine porridge postcard pot potato prince princess pudding puddle puffin pump pumpkin puppet puppy purse puzzle
quail quarry queen quilt rabbit radish raft rain rainbow raisin rake ranch raspberry rat raven ribbon riddle ring
river road robe robin robot rock roof room rooster root rope rose rug sack saddle sail sailor salad salt sand sandal
sandcastle sandwich satchel scarecrow scarf school scooter sea seahorse seal seashell seat seed shadow shark shed
sheep shell shepherd ship shirt shoe shop shore shovel shower sister skate skirt sky sled sleeve sleigh slide
slipper snail snake snow soap sock sofa song soup sparrow spider spinach sponge spoon spot squash squid squirrel
stable stair stamp star statue steam stew stick stone stool stork storm story stove straw strawberry stream street
string suitcase sun sunflower swallow swamp swan sweater swing syrup table tail tambourine tart teacher teapot
telescope tent thimble thistle thread throne tide tiger toad toe tomato tooth top torch tortoise towel tower town
toy track tractor trail train tray treasure tree truck trumpet trunk tub tuba tulip tunnel turkey turnip turtle twig
umbrella uncle unicorn valley vase vegetable vest village vine violin vulture waffle wagon wall walnut walrus wand
wardrobe wasp water waterfall wave weasel web well whale wheat wheel wheelbarrow whistle willow wind window wing
wizard wolf wood woodpecker worm wren yak yard yarn zebra zipper
"""
_VERBS = """
admire agree answer arrive ask bake balance bark bathe battle beg behave blink blush boil borrow bounce bow braid
breathe brush build bury call camp carry carve catch chase cheer chew chirp chop clap clean climb collect color comb
complain cook cough count cover crash crawl creak cross crunch cry cuddle curl dance dash decorate deliver dig dive
doodle drag draw dress drift drip drop dust empty enjoy explore fan fasten fetch fill find fix flap flip float
flutter fold follow gallop gather gaze giggle glide glow gobble greet grin groan growl grumble guess hammer hang
harvest hatch help hide hold hop howl hug hum hunt hurry invite juggle jump keep kick kiss kneel knit knock laugh
leap learn leave lend lick lift like limp listen lock look love march measure melt mend miss mix move mumble munch
nap nibble nod notice obey open order pack paddle paint parade pass pat peek peel perch pick plan plant play pluck
point polish pounce pour praise press pretend promise puff pull push race rattle reach remember rescue rest return
rhyme rinse roam roar roll row rub rumble rush sail save scatter scoop scratch scrub search share shiver shout
shovel shuffle sigh sing sip skate skip sleep slide slurp smell smile snap sneeze sniff snore snuggle soar spin
splash sprinkle squeak squeeze stack start stay stir stop stretch stumble swallow sweep swim swing talk tangle tap
taste tease thank tickle tie tiptoe toss touch trade trot tug tumble turn twirl untie unwrap visit wait wake walk
wander want wash watch water wave weave weep whine whisper whistle wiggle wink wish wonder work wrap wrestle yawn
yell zoom
"""
_ADJECTIVES = """
ancient awake bad bare big bitter black blue blunt bold bouncy brave breezy bright broad brown bumpy busy calm
careful cheerful chilly chubby clean clear clever cloudy clumsy coarse cold cool cosy crisp crooked cruel crunchy
curious curly cute damp dark dear deep dim dizzy drowsy dry dull dusty eager early easy empty faint fair fancy fast
fat fierce fine firm flat fluffy foggy fond frail fresh friendly frosty full funny furry fuzzy gentle glad gloomy
glossy golden good graceful grand grateful great greedy green grey grumpy hairy handy happy hard harsh hasty heavy
helpful high hollow hot huge hungry icy itchy jolly jumpy keen kind large late lazy leafy lean light little lively
lonely long loose loud lovely lucky lumpy mad mellow merry mighty mild misty moist muddy narrow neat new nice noble
noisy odd old orange pale pink plain pointy polite poor pretty prickly proud purple quick quiet rapid rare ready red
rich ripe rosy rough round rude rusty sad safe salty sandy scared scary shaggy sharp shiny short shy silent silly
silver simple sleek sleepy slim slippery slow sly small smart smooth snug soft solid sour speedy spicy spotty
sprightly square steep sticky stiff still stout strange striped strong sturdy sudden sunlit sunny sweet tall tame
tasty tender tense thick thin thirsty thorny tidy tight timid tiny tired tough twisty ugly vast warm wary wavy weak
weird wet white wide wiggly wild windy wise wobbly wooden woolly worn yellow young yummy
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
    "{name} met {name}.",
    "{name} ran to {name}, and {name} ran to {name}.",
    '"{name}!" called {name}.',
    '"look, {name}," said {name}.',
    "{name} and {name} like to {verb}.",
    "{name} took the {noun} from {name}.",
    "{name} was {adj}, but {name} was not.",
    '"is it {name}?" asked {name}. "no, it is {name}," said {name}.',
    "{name} {verbs}, {name} {verbs}, and {name} {verbs}.",
    "{name} hid from {name} {place}.",
)
MEETINGS = (
    "{name} met {name}.",
    "{name} saw {name}.",
    "{name} fed {name}.",
    "{name} ran to {name}.",
    '"{name}!" called {name}.',
    '"{name}?" asked {name}.',
    "{name} and {name} sang.",
    "{name}, {name} and {name} sat.",
    "{name} hid, and {name} hid.",
)
"""Sentences of little but names: a repeated name every eight letters instead of every thirty."""
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
    phrases = " ".join([*PLACES, *TIMES, *TEMPLATES, *MEETINGS, *OPENINGS])
    fixed = {word.strip('.,?"') for word in phrases.split() if "{" not in word}
    forms = {*NOUNS, *map(plural, NOUNS), *VERBS, *map(third_person, VERBS), *map(ing, VERBS)}
    of_adjectives = (ADJECTIVES, *(map(form, ADJECTIVES) for form in (adverb, comparative, superlative)))
    return forms.union(fixed, *of_adjectives)
