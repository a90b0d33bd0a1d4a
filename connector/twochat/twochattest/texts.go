package twochattest

// names are the people of the invented town in which every conversation takes place.
var names = []string{
	"Ada Fictive", "Benito Ejemplo", "Chloé Inventée", "Dmitri Vymysel", "Eun-ji Sample", "Farid Mithal", "Greta Beispiel",
	"Hiro Kakuu", "Inés Muestra", "João Exemplo", "Kofi Demo", "Lucía Prueba", "Mbali Mockup", "Nils Påhitt",
	"Olga Placeholder", "Priya Namuna",
}

// script is a conversation, one line each; the business's own lines begin with "> ".
type script []string

// scripts are the conversations of an invented bicycle shop. They are read by people in the demo; nobody ever sent any
// of the lines.
var scripts = []script{
	{
		"Hi! Do you still have the blue city bike in the window?", "> Hello! Yes, one left. It is size M.",
		"I am 1.74 m, would that fit?", "> It should. Come by for a test ride, we are open until six.",
		"Great, I will be there around five 🚲",
		"> See you then!", "Thanks again for the ride. I take it 😀", "> Wonderful. We will have it ready tomorrow at ten.",
	},
	{
		"My order has not arrived yet. Number 10-4711", "> Sorry to hear it! Let me look.",
		"> It left our workshop on Tuesday, the carrier says tomorrow.",
		"Ok, can they leave it with the neighbour?", "> Of course, I have asked them to.",
		"It is here. The bell is missing though 🔔",
		"> Oh no. A bell goes out today, on us.", "You are the best, thank you!",
	},
	{
		"¿Hacen reparaciones los sábados?", "> ¡Hola! Sí, de 9 a 13 h.",
		"Se me pinchó la rueda de atrás y el freno hace ruido",
		"> Tráela a primera hora, lo vemos juntos.", "Perfecto, ¿cuánto sale más o menos?",
		"> La cámara 12, el freno depende. Te avisamos antes de tocar nada.",
		"Dale, gracias 🙏", "> ¡Hasta el sábado!",
	},
	{
		"Olá! O capacete infantil vem em vermelho?", "> Olá! Vermelho e amarelo, tamanhos XS e S.",
		"O S amarelo então. Posso pagar na entrega?",
		"> Pode sim, dinheiro ou cartão.", "Combinado 👍", "> Pedido anotado: 1 capacete S amarelo.",
		"Chegou, minha filha adorou \"o capacete de abelha\" 🐝", "> Que alegria!",
	},
	{
		"Can I rent two bikes for the weekend?", "> Sure, Friday evening to Monday morning is one weekend for us.",
		"And a child seat?",
		"> We lend it for free with a rental.", "Then 2 bikes + seat, please. Name as always.",
		"> Booked. Bring an ID card, please.",
		"One question: may we take them on the train?", "> Yes, they fold \\ fit in every regional train.",
	},
	{
		"Guten Tag, ist mein Rad fertig?", "> Fast! Die Kette kommt heute Mittag.", "Prima, ich hole es gegen 17 Uhr ab.",
		"> Es steht bereit. Macht 48 Euro.",
		"Hole es doch erst morgen, es gießt in Strömen ☔", "> Kein Problem, es steht trocken.",
	},
	{
		"ドライブトレインの調整をお願いできますか？", "> もちろんです。明日の午後はいかがですか？", "三時に伺います。", "> お待ちしております 🙇",
		"ありがとうございました。とても静かになりました！", "> よかったです！",
	},
	{
		"Is the Sunday group ride on?", "> Yes! Nine o'clock at the fountain, 40 km, easy pace.",
		"Rain is forecast…\nDo we ride anyway?",
		"> We ride unless it is a storm. Coffee at the mill for everyone.", "I am in", "Me too!!", "> 7 people so far",
		"Can someone bring a spare tube, 28\"?",
		"> I bring two.", "👍👍", "مرحبا، هل يمكنني الانضمام؟", "> Of course, everyone is welcome!",
	},
}

// groupTopics name the groups.
var groupTopics = []string{"Sunday ride 🚴", "Workshop crew", "Bike kitchen volunteers"}
